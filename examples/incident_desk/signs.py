"""What gives an emergency away: patterns and weights, by service and by the keyword of its protocol.

Only data. The front door adds up all the signs of a service; the specialist takes the keyword with the most. English
and German stand side by side. A weight says how much a phrase means on its own: 1 is a hint, 2 or 3 make it likely, 4
settles it, and more than that is for what has to win over other signs, because somebody may be dying of it. What is
said last does not take back what was said first: of two stories the worse one counts, unless the caller takes
everything back (``TAKEN_BACK``), which is for a person to hear.

Patterns ignore case. None is about one call: what they cannot tell apart goes to a person.
"""

Signs = dict[str, float]

MEDICAL: dict[str, Signs] = {
    "cardiac arrest": {
        r"(not|n't|stopped|hardly) breath(e|ing)|no pulse|atmet (nicht|nich|kaum)|kein(en)? puls": 8,
        r"\bgrey\b|\bganz blau\b|turned blue": 1,
    },
    "unconscious": {
        r"unconscious|passed out|bewusstlos|ohnmächtig": 6,
        r"(won't|doesn't|can't|not) wake up|wacht nicht (mehr )?auf": 6,
        r"doesn't (react|respond)|reagiert (überhaupt |gar )?nicht": 5,
        r"bottle of (vodka|whisky|gin)|zusammengebrochen|collapsed": 1,
    },
    "choking": {
        r"\bchok(ing|ed)\b|erstickt|can't get any air|kriegt keine luft": 7,
        r"heimlich": 2,
    },
    "chest pain": {
        r"chest pain|pain in (my|his|her|the) chest|sitting on my chest|brustschmerz|schmerzen in der brust": 5,
        r"(down|in) (my|his|her|the) left arm|linken arm": 3,
    },
    "stroke": {
        r"\bstroke\b|schlaganfall|face (is|has) (drooping|dropped)|mundwinkel hängt": 6,
        r"slurr(ed|ing)|verwaschen|redet .{0,20}komisch": 3,
    },
    "severe bleeding": {
        r"bleeding (badly|heavily|to death)|blood is (spurting|pouring|gushing)|blutet (stark|wie)|verblutet": 6,
        r"\bbleeding\b|\bblutet\b": 1.5,
    },
    "anaphylaxis": {
        r"\ballerg(y|ic|isch|ie)": 3,
        r"throat is closing|lips (are )?swelling|schwillt .{0,20}(hals|zunge|gesicht)|epipen": 4,
    },
    "spinal injury": {
        r"(can't|cannot) (feel|move) (his|her|my|their) legs|spür\w* .{0,20}beine nicht": 6,
        r"(fell|came) off (the|a) (ladder|roof)|von der leiter (gefallen|gestürzt)": 3,
    },
    "seizure": {r"\bseizure|convuls|krampft|krampfanfall|shaking all over": 5, r"epilep": 2},
    "poisoning": {
        r"(drank|swallowed|ate) (some of )?(the |some )?(dishwasher|bleach|detergent|cleaner|poison)": 6,
        r"(spülmittel|reiniger|entkalker) getrunken|giftig|vergiftet|\bpoison|corrosive": 4,
    },
    "asthma": {r"asthma": 5, r"inhaler|wheezing|asthmaspray": 2},
    "diabetic": {r"diabetic|diabetes|diabetik|zuckerkrank": 4, r"(his|her|my) sugar is|unterzucker": 2},
    "childbirth": {r"\bwehen\b|contractions|in labou?r\b": 4, r"fruchtblase|waters? (has |have )?bro(ke|ken)": 4},
    "fall": {
        r"(gestürzt|hingefallen)\b|(has|had|have) fallen|\bfell (over|down)": 3,
        r"hüfte|oberschenkelhals|\bhip\b|kommt nicht (mehr )?hoch|can't get up": 2,
    },
    "burn": {r"verbrüht|verbrannt\b|scald(ed)?|burn(t|ed) (my|his|her) (hand|arm|leg|face)": 5, r"blasig|blister": 1},
    "child fever": {
        r"\bfever\b|\bfieber\b(?! hab(e)? ich (nicht|kein))": 3,
        r"\b(daughter|son|tochter|sohn|baby)\b": 0.5,
    },
    "minor injury": {
        r"twisted (my|his|her|an) (ankle|knee)|verstaucht|umgeknickt": 4,
        r"in den finger geschnitten|cut (my|his|her) finger": 4,
        r"(murmel|münze|kirschkern) verschluckt|swallowed a (marble|coin)": 4,
    },
    "cold": {r"schnupfen|husten\b|\ba (bad )?cold\b|sore throat": 3, r"hausarzt|my gp\b|family doctor": 1},
}

FIRE: dict[str, Signs] = {
    "building fire": {
        r"(house|flat|kitchen|roof|building|balcony|upstairs) .{0,20}\bon fire": 6,
        r"(bei uns|küche|haus|dachstuhl|wohnung|dach)\b.{0,20} brennt": 6,
        r"flames? (are )?coming out of the .{0,10}window|flammen aus dem fenster": 5,
        r"\ba fire in\b": 4,
    },
    "trapped by fire": {
        r"(staircase|stairwell|treppenhaus|hallway) (is|ist) (full of|voller) (smoke|rauch)": 6,
        r"(kommen|kommt) nicht (mehr )?raus|(can't|cannot) get out": 6,
    },
    "trapped in vehicle": {
        r"(driver|passenger|man|woman|he|she)\b.{0,25} is trapped|eingeklemmt": 7,
        r"\bhead on\b|hat es gekracht|zusammengestoßen": 1,
    },
    "chemical": {
        r"gefahrgut|dangerous goods|chemical|salzsäure|chlorine|ammoniak?\b": 5,
        r"undicht|leaking|tritt .{0,30} aus": 2,
    },
    "carbon monoxide": {r"carbon monoxide|kohlenmonoxid|\bco[- ](melder|alarm|detector)": 7},
    "water rescue": {
        r"(in|into) the (river|harbour|water|canal)\b|ins wasser gefallen|treibt im (fluss|wasser|hafen)": 6,
    },
    "gas": {r"smell of gas|smells? (like|of) gas|gasgeruch|riecht nach gas|rotten eggs": 6},
    "smoke": {
        r"smells? of (smoke|burning)|burning smell|riecht (verbrannt|nach rauch)|brandgeruch": 4,
        r"\bsmoke\b(?! alarm)|\brauch\b": 2,
    },
    "vehicle fire": {r"\b(car|van|bus|lorry|truck) is on fire": 7, r"(auto|wagen|lkw|bus)\b.{0,10} brennt": 7},
    "rubbish fire": {
        r"brennt .{0,10}(mülleimer|müllcontainer|papierkorb)|(bin|skip|rubbish) .{0,15}(on fire|burning)": 6,
    },
    "lift": {r"stuck in (the|a) (lift|elevator)|(im|in dem) (aufzug|fahrstuhl) (fest|stecken)|aufzug stecken": 6},
    "flooding": {r"keller .{0,20}unter wasser|(basement|cellar) .{0,20}(flood|under water)|wasserrohrbruch": 5},
    "tree": {r"baum liegt|baum .{0,20}(umgestürzt|auf der straße)|tree .{0,20}(across|on|blocking) the road": 5},
    "burnt food": {r"burn(t|ed) (the|my) (toast|dinner|food)|essen angebrannt|toast .{0,15}verbrannt": 8},
    "cat in tree": {r"katze .{0,15}(auf|im) .{0,6}baum|cat .{0,15}(up|in) (a|the|our) tree": 5},
}

POLICE: dict[str, Signs] = {
    "armed person": {r"\b(knife|gun|machete|messer|pistole|waffe)\b": 6, r"\bfight\b|schlägerei": 3},
    "violence at home": {
        r"(boyfriend|husband|wife|partner|father) (is hitting|hits|beats|is beating) me": 7,
        r"(mann|freund|vater|partner) schlägt mich|hitting me": 7,
    },
    "intruder": {r"(someone|somebody|a man) in (the|my|our) house|jemand (im haus|in der wohnung)|einbrecher": 6},
    "missing child": {
        r"can't find (our|my) (daughter|son|child|boy|girl|kid)": 6,
        r"(kind|tochter|sohn) .{0,20}(verschwunden|vermisst|weggelaufen)": 6,
    },
    "suspicious object": {
        r"(unattended|abandoned|suspicious) (suitcase|bag|package|backpack|parcel)": 6,
        r"(herrenlos|verdächtig)\w* (koffer|tasche|paket|gepäck)|wire sticking out": 3,
    },
    "missing adult": {
        r"(vater|mutter|mann|frau|oma|opa)\b.{0,60}(verschwunden|vermisst)": 4,
        r"(father|mother|husband|wife)\b.{0,60}\b(is missing|disappeared)": 4,
        r"\bdement\b|dementia|alzheimer": 2,
    },
    "drunk driver": {
        r"driver (is|seems|must be) drunk|drunk driver|betrunken\w* (fahrer|am steuer)|schlangenlinien": 6,
        r"all over the (place|road)": 2,
    },
    "prowler": {
        r"(man|woman|somebody|someone) (walking|creeping|sneaking) (a)?round .{0,10}(garden|house|yard)": 5,
        r"schleicht .{0,15}(ums|um das|im) (haus|garten)|looked in at the windows": 4,
    },
    "burglary": {r"eingebrochen worden|wurde eingebrochen|(been|were) burgled|broken into": 5, r"aufgehebelt": 2},
    "vehicle theft": {r"\b(car|van|motorbike)('s| has| is| was)? (been )?stolen|(auto|wagen) .{0,15}gestohlen": 5},
    "shoplifter": {r"ladendieb|shoplift": 5},
    "crash without injuries": {
        r"fender[- ]bender|backed into (me|my)|blechschaden|parkrempler": 5,
        r"(little|small|minor) accident": 1,
    },
    "animals on road": {
        r"(kühe|pferde|schafe|wildschweine) auf der (straße|fahrbahn)": 5,
        r"(cows|horses|sheep) (are )?on the (road|street)": 5,
    },
    "noise": {r"loud music|laute musik|ruhestörung|noise complaint|bässe": 4, r"\bparty\b": 1},
    "theft": {
        r"(bike|bicycle|phone|wallet|purse) (was|has been|got|is) stolen|(fahrrad|handy) .{0,15}(gestohlen|geklaut)": 4
    },
    "fraud": {r"enkeltrick|\bscam(mer)?\b|\bphishing\b|schockanruf": 5, r"\bkaution\b|kontonummer|bank details": 1},
    "vandalism": {r"graffiti|beschmiert|vandal|zerkratzt": 4},
    "lost property": {r"\blost my (passport|wallet|phone|keys|bag)|(ausweis|pass|schlüssel) verloren": 5},
    "nuisance call": {
        r"\[[^\]]*(giggl|gekicher|kichert)[^\]]*\]": 3,
        r"\[[^\]]*(laugh|gelächter|lacht)[^\]]*\]|\bhaha": 2,
        r"\b(alien|dragon|drache|ufo|godzilla|zombie|einhorn|unicorn)s?\b": 3,
        r"is your (refrigerator|fridge) running|liar,? liar|pants (are )?on fire|herr mustermann": 3,
        r"döner|hahaha": 1,
    },
}

SERVICES: dict[str, dict[str, Signs]] = {"medical": MEDICAL, "fire": FIRE, "police": POLICE}

POINTERS: dict[str, Signs] = {
    "medical": {r"\w*tabletten?\b|\bpills?\b|medikament|medication|krankenwagen|\bdos(e|is)\b": 1.5},
    "fire": {r"feuerwehr|fire brigade|fire engine": 1.5},
    "police": {r"kennzeichen|nummernschild|number plate|licen[cs]e plate|polizei|police": 1.5},
}
"""Words that tell the front door whose call it is, though no protocol."""

TAKEN_BACK: Signs = {
    r"\bnever ?mind\b|\bforget it\b|wrong number|false alarm|fehlalarm|hat sich erledigt|falsch verbunden": 100,
}
"""Everything taken back, which a person hears out: those who are threatened say it too."""

LIFE_AT_RISK: Signs = {
    r"(don't|do not) want to (live|be alive|be here)|can't go on\b|kill myself|nicht mehr leben|bring(e)? mich um": 100,
}
"""Somebody who speaks of ending their life gets a person, not a protocol."""

IN_CODE: Signs = {r"(order|like|bestell\w*) (a |eine )?pizza|pizza bestellen": 100}
"""Some order a pizza because the one who threatens them is in the room."""

OUT_OF_AREA: Signs = {
    r"\b(lives|live|living|staying|is) in (manchester|london|berlin|munich|vienna|paris|chicago|warsaw)\b": 100,
    r"\b(wohnt|lebt|ist|sitzt|sind) (\w+ )?in (berlin|hamburg|münchen|wien|köln|zürich|manchester|london)\b": 100,
}

ASKS_FOR_A_DOSE: Signs = {
    r"(wie viele?|wieviele?) .{0,25}(tabletten|tropfen|pillen).{0,20}\b(darf|soll|kann)\b|nur die dosis": 100,
    r"how (many|much) .{0,30}(pills|tablets|drops|mg)\b.{0,20}\b(may|can|should)\b": 100,
}

ASKS_FOR_PERSONAL_DATA: Signs = {
    r"(kennzeichen|nummernschild).{0,80}(wem|halter|name)|(number|licen[cs]e) plate.{0,80}(who|owner|name)": 100,
}
