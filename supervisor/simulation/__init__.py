"""A node in a simulation: the production kernel, gate and journal in memory under a seeded scheduler and a virtual clock."""
