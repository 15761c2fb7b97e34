"""Write what the regions are called in the languages of the pages, into ``reports/data/regions/names/``.

    python -m reports.data.build.build_names ADMIN1 ISO_CODES

ADMIN1 is Natural Earth's ``admin1.json``, ISO_CODES a folder with the translations of iso-codes
(``de/LC_MESSAGES/iso_3166-2.mo``); ``docs/data.md`` tells where they come from. A name that is the same as in English,
or that belongs to another place than the region, is left out: the English one is shown. Run again, it writes the same
bytes.
"""

from __future__ import annotations

import csv
import gettext
import json
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping
from difflib import SequenceMatcher
from pathlib import Path

from reports.regions import DATA, tree

LANGUAGES = ("ar", "de", "es", "hi", "pt")
CROSSWALK = Path(__file__).parent / "crosswalk.csv"
#: Regions that are joined from several features, so that the source has no name for them; written by hand.
BY_HAND = Path(__file__).parent / "local_names.csv"

#: What other languages put before or after a name, to tell it from a town's.
_AFFIXES = re.compile(
    r"^(Provinz|Provincia( de(l| la)?)?|Província( d[aeo]s?)?|Estado( d[aeo]s?)?|Departamento( de(l| la)?)?|Kreis|"
    r"Distrito de(l| la)?|Gobernación de|Gouvernement|Oblast|Departement|Distrikt|Präfektur|Prefectura de|"
    r"Prefeitura de|"
    r"Condado de|Condado|Bezirk|Kanton|Cantón( de(l)?)?|Cantão d[aeo]|Óblast de|Oblast de|محافظة|ولاية|مقاطعة|إقليم|"
    r"منطقة|قضاء|كانتون|إدارة|कैंटन) |"
    r" (Province|Department|County|District|प्रान्त|प्रांत|विभाग|काउंटी|जिला|ज़िला|राज्य|प्रीफेक्चर|कैन्टन|ओब्लास्ट|أوبلاست)$"
)
#: Where English says of what kind a place is too, it is needed.
_KINDS = re.compile(
    r"\b(State|Province|Prefecture|County|Region|District|City|Oblast|Krai|Department|Governorate|Territory|Capital)\b"
)
#: Below it two spellings are two places.
_ALIKE = 0.6


def local_name(text: str, english: str) -> str:
    """The name without what says of what kind the place is, unless it is needed in English too."""
    return text if _KINDS.search(english) else _AFFIXES.sub("", text).strip() or text


def _folded(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text).casefold() if c.isalnum())


def alike(one: str, other: str) -> bool:
    """Whether two English names can mean the same place: they share most letters, or one holds the other."""
    one, other = _folded(one), _folded(other)
    return one in other or other in one or SequenceMatcher(None, one, other).ratio() >= _ALIKE


def _from_boundaries(path: Path) -> dict[str, Mapping[str, str]]:
    """Code -> the properties of its feature, for regions that are one feature of the source and are called like it."""
    features = {
        feature["properties"]["adm1_code"]: feature["properties"]
        for feature in json.loads(path.read_text(encoding="utf-8"))["features"]
    }
    parts = defaultdict(list)
    with CROSSWALK.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            parts[row["region"]].append(row)
    found = {}
    for code, region in tree().items():
        rows = parts.get(code, [])
        if region.kind == "subdivision" and len(rows) == 1 and rows[0]["how"] != "corrected":
            properties = features[rows[0]["adm1_code"]]
            if alike(properties.get("name_en") or properties.get("name") or "", region.name):
                found[code] = properties
    return found


def main(admin1: Path, iso_codes: Path) -> None:
    """Writes one file a language: region code to name."""
    boundaries = _from_boundaries(admin1)
    with BY_HAND.open(encoding="utf-8", newline="") as lines:
        by_hand = {row["code"]: row for row in csv.DictReader(lines)}
    (DATA / "names").mkdir(exist_ok=True)
    for language in LANGUAGES:
        translated = gettext.translation("iso_3166-2", str(iso_codes), [language], fallback=True)
        names = {}
        for code, region in tree().items():
            if region.kind in ("world", "country"):
                continue
            name = by_hand.get(code, {}).get(language, "")
            if not name and code in boundaries:
                name = boundaries[code].get(f"name_{language}") or ""
            if not name and (iso := translated.gettext(region.name)) != region.name:
                name = iso
            name = local_name(name, region.name) if name else ""
            names[code] = name or region.name
        taken = Counter((code[:2], name) for code, name in names.items())
        # Two regions of one country that the source calls alike can be told apart by their English names only.
        names = {code: name for code, name in names.items() if name != tree()[code].name and taken[code[:2], name] == 1}
        path = DATA / "names" / f"{language}.json"
        path.write_text(json.dumps(names, ensure_ascii=False, indent=0, sort_keys=True) + "\n", encoding="utf-8")
        print(f"{path.name}: {len(names)} of {len(tree())}")  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
