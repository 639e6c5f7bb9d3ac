"""The file's tables and views. They are public: any SQLite tool may read them, and they only grow within a format.

Tables (what the product writes):

* ``rows``: the journal. ``gid`` dense over the file, ``seq`` dense over a stream; ``payload`` the record as JSON text;
  ``hash`` the chain's link (``chain``); ``digest`` only where cause and payload were erased: what they hashed to.
* ``streams``: each address once, and where its actor stands; ``life`` is NULL where it is no actor. ``began`` is the
  journal time of its first line, ``at`` of its last.
* ``inbox``, ``effects``, ``timers``: what is open, in the order in which it was made; ``entry`` is JSON.
* ``books``: the gate's books (budgets, rates, breakers, standing approvals), the newest value of each entry; ``entry`` is JSON.
* ``keys``: each key that a caller outside gave, for ever: the digest of what was said with it, the row that took it in (``gid``),
  the row with the recorded reply (``answered``, NULL while there is none).
* ``snapshots``: states at committed rows, so that not every row has to be read again; disposable. One counts only while
  ``hash`` is that of its row.
* ``meta``: ``seed``, ``epoch`` (how often taken over), ``clean`` (1: the last owner stopped in order), ``chain``.

Views (what people ask), times in seconds since the epoch, money in US dollars:

* ``runs``: one line a run: where it stands, how many actors and turns, what it cost, how many questions are open.
* ``steps``: one line a turn, failed turns too: the message, the events, what it sent and intended, how it failed.
* ``spend``: one line an answered model call: tokens and cost.
* ``failures``: one line a failure, of turns, of attempts and of messages put aside.
* ``approvals``: one line an open question to a person: approvals, escalations, calls in doubt.
* ``dead_letters``: one line a message put aside, expired, cancelled or dropped, with its true addressee.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

from ...protocols.journal import FORMAT
from .driver import Connection

APPLICATION_ID = 0x55535459
"""``USTY``: what makes a SQLite file a journal (``PRAGMA application_id``)."""

TABLES = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE streams (
        id INTEGER PRIMARY KEY,
        address TEXT NOT NULL UNIQUE,
        life TEXT,
        incarnation INTEGER,
        seq INTEGER,
        run TEXT,
        context TEXT,
        began REAL,
        at REAL,
        turns INTEGER
    )""",
    """CREATE TABLE rows (
        gid INTEGER PRIMARY KEY,
        stream INTEGER NOT NULL REFERENCES streams,
        seq INTEGER NOT NULL,
        incarnation INTEGER NOT NULL,
        kind TEXT NOT NULL,
        cause TEXT,
        at REAL NOT NULL,
        payload TEXT,
        hash BLOB NOT NULL,
        digest BLOB,
        UNIQUE (stream, seq)
    )""",
    "CREATE TABLE inbox (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, entry TEXT NOT NULL)",
    "CREATE TABLE effects (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, entry TEXT NOT NULL)",
    "CREATE TABLE timers (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, entry TEXT NOT NULL)",
)

SINCE_2 = (
    """CREATE TABLE keys (
        stream INTEGER NOT NULL,
        key TEXT NOT NULL,
        digest TEXT NOT NULL,
        gid INTEGER NOT NULL,
        answered INTEGER,
        PRIMARY KEY (stream, key)
    ) WITHOUT ROWID""",
    """CREATE TABLE snapshots (
        stream INTEGER PRIMARY KEY,
        gid INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        hash BLOB NOT NULL,
        schema TEXT NOT NULL,
        state TEXT NOT NULL
    )""",
)
"""Tables that format 1 did not have."""

SINCE_3 = ("CREATE TABLE books (n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, entry TEXT NOT NULL)",)
"""Tables that format 2 did not have."""

# A message that a row took by reference stands in the row that sent it (an item id begins with that row's gid), or in
# the row that accepted it (an outcome or a message from outside), which is one of the same stream.
_TAKEN = """COALESCE(
            json_extract(r.payload, '$.message'),
            (SELECT j.value FROM rows o, json_each(o.payload, '$.sends') j
              WHERE o.gid = CAST(json_extract(r.payload, '$.took') AS INTEGER)
                AND json_extract(j.value, '$.id') = json_extract(r.payload, '$.took')),
            (SELECT json_extract(o.payload, '$.message') FROM rows o
              WHERE o.stream = r.stream AND (o.kind IN ('accepted', 'settled', 'expired')
                     OR (o.kind IN ('turn', 'failed') AND json_extract(o.payload, '$.post') IS NOT NULL))
                AND json_extract(o.payload, '$.message.id') = json_extract(r.payload, '$.took'))
        )"""

VIEWS = (
    """CREATE VIEW spend (gid, at, run, actor, user, tenant, session, effect, model, input_tokens, output_tokens,
                           estimated, cost) AS
    WITH answers AS (
        SELECT r.gid, r.at, r.stream, json_extract(r.payload, '$.message.body.of') AS effect,
               json_extract(r.payload, '$.message.body.value') AS reply
          FROM rows r
         WHERE json_extract(r.payload, '$.message.wire') = 'us.outcome'
    )
    SELECT a.gid, a.at, s.run, s.address, json_extract(s.context, '$.user'), json_extract(s.context, '$.tenant'),
           json_extract(s.context, '$.session'), a.effect,
           COALESCE(NULLIF(json_extract(a.reply, '$.model'), ''), json_extract(e.value, '$.name')),
           COALESCE(json_extract(a.reply, '$.usage.input_tokens'), 0),
           COALESCE(json_extract(a.reply, '$.usage.output_tokens'), 0),
           COALESCE(json_extract(a.reply, '$.usage.estimated'), 0),
           json_extract(a.reply, '$.cost')
      FROM answers a
      JOIN rows o ON o.gid = CAST(a.effect AS INTEGER)
      JOIN json_each(o.payload, '$.effects') e ON json_extract(e.value, '$.id') = a.effect
      JOIN streams s ON s.id = a.stream
     WHERE json_extract(e.value, '$.verb') = 'think' AND a.reply IS NOT NULL""",
    """CREATE VIEW approvals (id, kind, text, policy, deadline, actor, run, user, tenant, session, verb, name, args,
                               digest, asked_at) AS
    SELECT id, json_extract(entry, '$.question.kind'), json_extract(entry, '$.question.text'),
           json_extract(entry, '$.question.policy'), json_extract(entry, '$.question.deadline'),
           json_extract(entry, '$.stream'), json_extract(entry, '$.context.run'),
           json_extract(entry, '$.context.user'), json_extract(entry, '$.context.tenant'),
           json_extract(entry, '$.context.session'), json_extract(entry, '$.verb'), json_extract(entry, '$.name'),
           json_extract(entry, '$.args'), json_extract(entry, '$.digest'), json_extract(entry, '$.at')
      FROM effects
     WHERE json_extract(entry, '$.state') IN ('asking', 'in_doubt')
     ORDER BY n""",
    """CREATE VIEW runs (run, life, began, at, actors, turns, restarts, user, tenant, session, cost, waiting) AS
    SELECT s.run, MAX(CASE WHEN s.address = s.run THEN s.life END), MIN(s.began), MAX(s.at), COUNT(*), SUM(s.turns),
           SUM(s.incarnation), MAX(json_extract(s.context, '$.user')), MAX(json_extract(s.context, '$.tenant')),
           MAX(json_extract(s.context, '$.session')),
           (SELECT SUM(p.cost) FROM spend p WHERE p.run = s.run),
           (SELECT COUNT(*) FROM approvals a WHERE a.run = s.run)
      FROM streams s
     WHERE s.life IS NOT NULL AND s.run <> ''
     GROUP BY s.run""",
    f"""CREATE VIEW steps (gid, at, run, actor, seq, incarnation, kind, cause, wire, message, events, sends, effects,
                           code, failure) AS
    SELECT gid, at, run, address, seq, incarnation, kind, cause, json_extract(taken, '$.wire'),
           json_extract(taken, '$.body'),
           (SELECT json_group_array(json_extract(value, '$.wire')) FROM json_each(payload, '$.events')),
           (SELECT json_group_array(json_extract(value, '$.to')) FROM json_each(payload, '$.sends')),
           (SELECT json_group_array(json_extract(value, '$.name')) FROM json_each(payload, '$.effects')),
           json_extract(payload, '$.failure.code'), json_extract(payload, '$.failure.message')
      FROM (SELECT r.*, s.address, s.run, {_TAKEN} AS taken
              FROM rows r JOIN streams s ON s.id = r.stream WHERE r.kind IN ('turn', 'failed'))""",
    """CREATE VIEW failures (gid, at, run, actor, row_kind, item, name, kind, code, message, hint, causes) AS
    SELECT gid, at, run, address, row_kind, item, name, json_extract(failure, '$.kind'),
           json_extract(failure, '$.code'), json_extract(failure, '$.message'), json_extract(failure, '$.hint'),
           json_extract(failure, '$.cause')
      FROM (SELECT r.gid, r.at, s.run, s.address, r.kind AS row_kind, r.cause AS item, NULL AS name,
                   json_extract(r.payload, '$.failure') AS failure
              FROM rows r JOIN streams s ON s.id = r.stream
             UNION ALL
            SELECT r.gid, r.at, s.run, s.address, r.kind, json_extract(e.value, '$.id'),
                   json_extract(e.value, '$.name'), json_extract(e.value, '$.failure')
              FROM rows r JOIN streams s ON s.id = r.stream
              JOIN json_each(r.payload) f ON f.key IN ('effects', 'changes')
              JOIN json_each(f.value) e)
     WHERE failure IS NOT NULL""",
    f"""CREATE VIEW dead_letters (gid, at, item, "to", sender, wire, message, run, why, code, failure) AS
    SELECT gid, at, COALESCE(json_extract(taken, '$.id'), cause), COALESCE(json_extract(taken, '$.to'), address),
           json_extract(taken, '$.sender'), json_extract(taken, '$.wire'), json_extract(taken, '$.body'), run, kind,
           json_extract(payload, '$.failure.code'), json_extract(payload, '$.failure.message')
      FROM (SELECT r.*, s.address, s.run, {_TAKEN} AS taken
              FROM rows r JOIN streams s ON s.id = r.stream WHERE r.kind IN ('failed', 'parked', 'expired'))
     WHERE taken IS NOT NULL AND json_extract(payload, '$.failure') IS NOT NULL
       AND json_extract(payload, '$.post.kept') IS NULL""",
)

CREATE = (
    *TABLES,
    *SINCE_2,
    *SINCE_3,
    *VIEWS,
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {FORMAT}",
)
"""All of it, to be run in one transaction."""

EARLIER = {
    "steps": {"3e99897ffcd0955a6fa706f3511d9f29"},
    "dead_letters": {"ec58159a8c6a2e298f4bd0ea3c579208"},
}
"""Digests of what earlier versions made a view of; a file keeps the views that it was made with."""


def differences(connection: Connection, version: int) -> Iterator[tuple[str, str]]:
    """What a file of this format has in its schema that no version of Understudy made, by name, and why.

    What somebody else added (an index, say) is not looked at.
    """
    if version not in range(1, FORMAT + 1):
        yield "user_version", f"it is {version}; there is no such format"
    stands = {
        name: (form, table, sql)
        for form, name, table, sql in connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master")
    }
    for statement in (*TABLES, *(SINCE_2 if version >= 2 else ()), *(SINCE_3 if version >= 3 else ()), *VIEWS):
        form, name = statement.split()[1:3]
        if name not in stands:
            yield name, f"this {form.lower()} is not there"
            continue
        found, table, sql = stands[name]
        known = sql == statement or _digest(sql) in EARLIER.get(name, ())
        if (found, table) != (form.lower(), name) or not known:
            yield name, f"it is not the {form.lower()} that was made"
        index = f"sqlite_autoindex_{name}_1"
        if "UNIQUE" in statement and stands.get(index) != ("index", name, None):
            yield index, "this index is not there, or is another one's"


def _digest(sql: object) -> str:
    return blake2b(str(sql).encode(errors="surrogateescape"), digest_size=16).hexdigest()
