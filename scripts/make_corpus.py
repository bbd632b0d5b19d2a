"""Write the invented practice corpus: train, dev and test CSV in the format of GMB's.

Sentences grow from the grammar in ``corpus_grammar.py`` and the word lists in
``corpus_words.py``. Part of the names is kept back from train, so that dev and test ask
for names that training never showed. The output depends on the seed and nothing else.
"""

from __future__ import annotations

import csv
import io
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated, Generic, NamedTuple, TypeVar

import typer

import corpus_grammar as grammar
import corpus_words as lists

# How hard the corpus is. More of any of these makes it harder.
HELD_OUT_SHARE = 0.35  # of each list of names, kept back from train
HELD_OUT_WORDS = 0.2  # of each longer class of nouns and verbs, kept back from train
HELD_OUT_RULES = 0.35  # of each longer rule's alternatives, kept back from train
FRESH_SHARE = 0.5  # of the names drawn for dev and test, drawn from what was kept back
NOISE_SHARE = 0.03  # of the sentences name something in a context that fits any type

# What else the corpus is like.
PLAIN_SHARE = 0.125  # of the sentences are made to name nothing
DUPLICATE_SHARE = 0.01  # of train is copies of other sentences of train
CURLY_SHARE = 0.02  # of the possessive markers have a typographic apostrophe
SCENE_SHARE = 0.5  # of a sentence's names come from the same part of the world
BROAD_RULES = {"sentence", "core", "title-start"}  # train sees all that these can make
HEAD_SHARE = 0.6  # of the names drawn from a list prefer the list's head
LENGTHS = range(3, 51)  # tokens

SPLITS = {"train": 0.8, "dev": 0.1, "test": 0.1}
COLUMNS = ("Sentence #", "Word", "POS", "Tag")
ENCODING = "cp1252"
MIN_SENTENCES = 10
DEFAULT_SEED = 2  # the proportions come closest to GMB's

T = TypeVar("T")


class Token(NamedTuple):
    """One row of the corpus."""

    word: str
    pos: str
    tag: str = "O"


Phrase = list[Token]


class Item(NamedTuple):
    """One piece of an alternative: a token, or a reference to what stands in its place."""

    token: Token | None
    reference: tuple[str, ...]
    chance: float


class Rule(NamedTuple):
    """A rule's alternatives, each with its weight; with a label, it makes an entity."""

    label: str
    weights: list[int]
    alternatives: list[list[Item]]


# --- chance ---------------------------------------------------------------------------------
# Only Random.random() promises the same sequence on every Python version.


def pick(rng: Random, entries: Sequence[T], head_share: float = 0.0) -> T:
    """One of ``entries``; in a share of the cases rather one of the first."""
    place = rng.random()
    if rng.random() < head_share:
        place *= rng.random()
    return entries[int(len(entries) * place)]


def pick_weighted(rng: Random, entries: Sequence[T], weights: Sequence[int]) -> T:
    """One of ``entries``, in proportion to ``weights``."""
    rest = rng.random() * sum(weights)
    for entry, weight in zip(entries, weights, strict=True):
        rest -= weight
        if rest < 0:
            return entry
    return entries[-1]


@dataclass(frozen=True)
class Pool(Generic[T]):
    """A list's entries that train may use, and those that are kept back from it."""

    known: tuple[T, ...]
    fresh: tuple[T, ...]


def split_pool(rng: Random, entries: Sequence[T], share: float) -> Pool[T]:
    """Keep back a share of a list, but never its head: that is what everyone knows."""
    shuffled = sorted(range(1, len(entries)), key=lambda _: rng.random())
    held_out = set(shuffled[: int(share * len(entries))])
    known = (entry for i, entry in enumerate(entries) if i not in held_out)
    return Pool(tuple(known), tuple(entries[i] for i in sorted(held_out)))


def drop_some(rng: Random, weights: Sequence[int], share: float) -> list[int]:
    """Set a share of a rule's weights to zero; a short rule keeps all of them."""
    dropped = sorted(range(len(weights)), key=lambda _: rng.random())[: int(share * len(weights))]
    return [0 if i in dropped else weight for i, weight in enumerate(weights)]


# --- the grammar ----------------------------------------------------------------------------


def part_of_speech(word: str) -> str:
    """The part of speech of a word of the grammar or of a name."""
    if word in grammar.POS_OF:
        return grammar.POS_OF[word]
    if word != word.lower():
        return "NNP"
    if word[0].isdigit():
        return "CD"
    raise ValueError(f"no part of speech for {word!r}; add it to PARTS_OF_SPEECH")


def tokens(text: str) -> Phrase:
    """The tokens of a text outside any entity, by the words' usual parts of speech."""
    return [Token(word, part_of_speech(word)) for word in text.split(" ")]


def parse_item(text: str) -> Item:
    """Read ``word``, ``word/POS``, ``<reference>`` or ``<reference?percent>``."""
    if text.startswith("<"):
        name, _, percent = text[1:-1].partition("?")
        return Item(None, tuple(name.split(".")), float(percent or 100) / 100)
    word, _, pos = text.partition("/")
    return Item(Token(word, pos or part_of_speech(word)), (), 1.0)


def parse_grammar(text: str) -> dict[str, Rule]:
    """Read the rules; the notation is described in ``corpus_grammar.py``."""
    rules: dict[str, Rule] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if not line.startswith(" "):
            name, _, label = line.rstrip(":").partition(" = ")
            rules[name] = Rule(label, [], [])
            continue
        first, *others = line.split()
        weight, items = (first[:-1], others) if first.endswith("*") else (1, [first, *others])
        rules[name].weights.append(int(weight))
        rules[name].alternatives.append([parse_item(item) for item in items])
    return rules


RULES = parse_grammar(grammar.GRAMMAR)


def capitalized(word: str) -> str:
    """A word with a capital at its beginning and the rest as it is."""
    return word[0].upper() + word[1:]


def entity(label: str, phrase: Phrase) -> Phrase:
    """Tag a phrase as one entity, whatever is tagged inside it."""
    tagged = []
    for i, (word, pos, _) in enumerate(phrase):
        if word[0].isupper() and label != "gpe" and pos in {"JJ", "NN", "NNS", "RB"}:
            pos = "NNP"
        tagged.append(Token(word, pos, f"{'I' if i else 'B'}-{label}"))
    return tagged


# --- inflection -----------------------------------------------------------------------------


def with_s(word: str) -> str:
    """A noun's plural or a verb's third person."""
    if word in grammar.IRREGULAR_PLURALS:
        return grammar.IRREGULAR_PLURALS[word]
    if word.endswith(("s", "sh", "ch", "x", "z")):
        return f"{word}es"
    if re.search("[^aeiou]y$", word):
        return f"{word[:-1]}ies"
    return f"{word}s"


def with_suffix(verb: str, suffix: str) -> str:
    """A verb with ``ed`` or ``ing``."""
    if verb in grammar.DOUBLED:
        return verb + verb[-1] + suffix
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1] + suffix
    if verb.endswith("ee"):
        return verb + suffix.removeprefix("e")
    if suffix == "ed" and re.search("[^aeiou]y$", verb):
        return f"{verb[:-1]}ied"
    return verb + suffix


def inflect(verb: str, form: str) -> str:
    """A verb in the form that a Penn Treebank tag names."""
    past, participle = grammar.IRREGULAR_VERBS.get(verb, ("", ""))
    if form == "VBZ":
        return with_s(verb)
    if form == "VBG":
        return with_suffix(verb, "ing")
    if form == "VBD":
        return past or with_suffix(verb, "ed")
    if form == "VBN":
        return participle or with_suffix(verb, "ed")
    return verb


# --- names ----------------------------------------------------------------------------------


def join_parts(start: str, end: str) -> str:
    """Join two parts of a name without ``aa`` or three of a letter at the seam."""
    if start[-1] == end[0] and (start[-1] in "aeiou" or end[:2] == end[0] * 2):
        end = end[1:]
    return start + end


def combine(starts: Sequence[str], ends: Sequence[str]) -> tuple[str, ...]:
    """All names of one start and one end, each once."""
    return tuple(dict.fromkeys(join_parts(start, end) for start in starts for end in ends))


class Names(NamedTuple):
    """The names of one culture, split into known ones and ones kept back."""

    countries: Pool[lists.Country]
    cities: Pool[tuple[str, str]]  # with the city's country
    first: Pool[str]
    last: Pool[str]


def culture_names(rng: Random, culture: lists.Culture) -> Names:
    """Make up a culture's names and split them."""
    real = [(city, country.name) for country in culture.countries for city in country.cities]
    invented = [
        (city, pick(rng, culture.countries).name)
        for city in combine(culture.roots, culture.place_ends)
    ]
    return Names(
        split_pool(rng, culture.countries, HELD_OUT_SHARE),
        split_pool(rng, real + invented, HELD_OUT_SHARE),
        split_pool(rng, culture.first_names, HELD_OUT_SHARE),
        split_pool(rng, combine(culture.roots, culture.surname_ends), HELD_OUT_SHARE),
    )


class Lexicon:
    """Every list of names and words, split into what train may use and what it may not."""

    def __init__(self, rng: Random) -> None:
        self.cultures = {
            name: culture_names(rng, culture) for name, culture in lists.CULTURES.items()
        }
        self.coined = split_pool(
            rng, combine(lists.COMPANY_STARTS, lists.COMPANY_ENDS), HELD_OUT_SHARE
        )
        self.lists = {
            name: split_pool(rng, entries, HELD_OUT_SHARE)
            for name, entries in vars(lists).items()
            if name.isupper() and isinstance(entries, tuple)
        }
        # Everybody knows the calendar.
        for name in ("WEEKDAYS", "MONTHS", "DAY_PARTS", "COURTESY_TITLES"):
            self.lists[name] = Pool(getattr(lists, name), ())
        self.classes = {
            (kind, name): split_pool(rng, lists.words(text), HELD_OUT_WORDS)
            for kind, table in (("V", grammar.VERBS), ("N", grammar.NOUNS))
            for name, text in table.items()
        }
        self.weights = {name: rule.weights for name, rule in RULES.items()}
        self.train_weights = {
            name: drop_some(rng, rule.weights, 0.0 if name in BROAD_RULES else HELD_OUT_RULES)
            for name, rule in RULES.items()
        }


# --- sentences ------------------------------------------------------------------------------


class Writer:
    """Grows sentences from the grammar.

    :param rng: where all chance comes from.
    :param lexicon: the names.
    :param in_train: whether to leave alone what is kept back from train.
    """

    def __init__(self, rng: Random, lexicon: Lexicon, in_train: bool) -> None:
        self.rng = rng
        self.lexicon = lexicon
        self.fresh_share = 0.0 if in_train else FRESH_SHARE
        self.weights = lexicon.train_weights if in_train else lexicon.weights
        self.scene = ""

    def sentence(self) -> Phrase:
        """A sentence of a fitting length that does not name the same thing twice."""
        start = self.rng.random()
        rule = "sentence"
        if start < PLAIN_SHARE:
            rule = "plain-sentence"
        elif start < PLAIN_SHARE + NOISE_SHARE:
            rule = "vague-sentence"
        while True:
            self.scene = self.any_culture()
            sentence = self.finish(self.expand((rule,)))
            if len(sentence) in LENGTHS and not is_clumsy(sentence):
                return sentence

    def expand(self, reference: tuple[str, ...]) -> Phrase:
        """What stands in the place of a reference."""
        if len(reference) == 3:
            return self.word(*reference)
        if reference[0] == "L":
            return tokens(self.draw(self.lexicon.lists[reference[1].replace("-", "_").upper()]))
        (name,) = reference
        rule = RULES.get(name)
        if rule is None:
            slot: Callable[[], Phrase] = getattr(self, "slot_" + name.replace("-", "_"))
            return slot()
        phrase: Phrase = []
        for item in pick_weighted(self.rng, rule.alternatives, self.weights[name]):
            if item.token is not None:
                phrase.append(item.token)
            elif self.rng.random() < item.chance:
                phrase += self.expand(item.reference)
        return entity(rule.label, phrase) if rule.label else phrase

    def draw(self, pool: Pool[T]) -> T:
        """One of a pool's entries, from those kept back if this writer may use them."""
        if pool.fresh and self.rng.random() < self.fresh_share:
            return pick(self.rng, pool.fresh)
        return pick(self.rng, pool.known, HEAD_SHARE)

    def word(self, kind: str, name: str, form: str) -> Phrase:
        """A noun or verb of a class; of several words, the last one is inflected."""
        *before, last = self.draw(self.lexicon.classes[kind, name]).split(" ")
        phrase = [Token(word, grammar.POS_OF.get(word, "NN")) for word in before]
        if kind == "V":
            return [*phrase, Token(inflect(last, form), form)]
        return [*phrase, Token(with_s(last) if form == "NNS" else last, form)]

    def finish(self, phrase: Phrase) -> Phrase:
        """Mend punctuation, articles and the first letter."""
        sentence: Phrase = []
        for token in phrase:
            last = sentence[-1].word if sentence else ","
            if token.word == "," and last in {",", ":", ";", "--", "–"}:
                continue
            if last == "," and sentence and token.pos in {".", ":"}:
                sentence.pop()
            if [before.word for before in sentence[-2:]] == [":", '"']:
                token = token._replace(word=capitalized(token.word))
            if token.word == "'s" and self.rng.random() < CURLY_SHARE:
                token = token._replace(word="’s")
            if last == "a" and re.match(grammar.TAKES_AN, token.word):
                sentence[-1] = sentence[-1]._replace(word="an")
            sentence.append(token)
        first = next(i for i, token in enumerate(sentence) if token.pos != "``")
        sentence[first] = sentence[first]._replace(word=capitalized(sentence[first].word))
        return sentence

    # Names. Each slot is one that the grammar refers to.

    def any_culture(self) -> str:
        """The name of a culture, the more often the more it is in the news."""
        weights = [culture.weight for culture in lists.CULTURES.values()]
        return pick_weighted(self.rng, list(lists.CULTURES), weights)

    def culture(self) -> Names:
        """The names of the culture that the sentence is about, or of another."""
        at_home = self.rng.random() < SCENE_SHARE
        return self.lexicon.cultures[self.scene if at_home else self.any_culture()]

    def slot_first(self) -> Phrase:
        return tokens(self.draw(self.culture().first))

    def slot_last(self) -> Phrase:
        return tokens(self.draw(self.culture().last))

    def slot_shared_last(self) -> Phrase:
        return tokens(self.draw(self.lexicon.lists["SHARED_SURNAMES"]))

    def slot_full_name(self) -> Phrase:
        """First name and surname of one culture, sometimes with something between them."""
        names, shared = self.culture(), self.lexicon.lists["SHARED_SURNAMES"]
        last = self.draw(shared if self.rng.random() < 0.15 else names.last)
        between = pick(self.rng, lists.BETWEEN_NAMES) if self.rng.random() < 0.15 else ""
        return tokens(f"{self.draw(names.first)} {between}{last}")

    def slot_al_name(self) -> Phrase:
        return tokens(f"al-{self.draw(self.lexicon.cultures['arabic'].last)}")

    def slot_city_name(self) -> Phrase:
        return tokens(self.draw(self.culture().cities)[0])

    def slot_city_country(self) -> Phrase:
        city, country = self.draw(self.culture().cities)
        return [*entity("geo", tokens(city)), Token(",", ","), *entity("geo", tokens(country))]

    def slot_country_name(self) -> Phrase:
        return tokens(self.draw(self.culture().countries).name)

    def slot_region_name(self) -> Phrase:
        return tokens(self.draw(self.lexicon.lists["REGIONS"]))

    def slot_country(self) -> Phrase:
        """A country as an entity, its article before it."""
        name = self.draw(self.culture().countries).name
        article = tokens("the") if name in lists.COUNTRIES_WITH_ARTICLE else []
        return article + entity("geo", tokens(name))

    def slot_adjective(self) -> Phrase:
        words = self.draw(self.culture().countries).adjective.split(" ")
        return [Token(word, "JJ") for word in words]

    def slot_people_name(self) -> Phrase:
        words = self.draw(self.culture().countries).people.split(" ")
        return [Token(word, "NNS" if word == words[-1] else "JJ") for word in words]

    def slot_language(self) -> Phrase:
        return [Token(self.draw(self.lexicon.lists["LANGUAGES"]), "NNP")]

    def slot_coined(self) -> Phrase:
        return tokens(self.draw(self.lexicon.coined))

    def slot_with_acronym(self) -> Phrase:
        """An agency and, in brackets, its initials."""
        name = self.expand(("agency",))
        initials = "".join(token.word[0] for token in name if token.word[0].isupper())
        acronym = entity("org", [Token(initials, "NNP")])
        return [*tokens("the"), *name, Token("(", "LRB"), *acronym, Token(")", "RRB")]

    def slot_craft_number(self) -> Phrase:
        name = self.draw(self.lexicon.lists["CRAFT_NAMES"])
        return [Token(f"{name}-{1 + self.below(9)}", "NNP")]

    def slot_letter_code(self) -> Phrase:
        letters = pick(self.rng, "ABKMSTX") + pick(self.rng, ("", "-", "R-", "S-"))
        return [Token(f"{letters}{2 + self.below(90)}", "NNP")]

    def slot_strain(self) -> Phrase:
        return [Token(f"H{1 + self.below(9)}N{1 + self.below(9)}", "NNP")]

    # Numbers and times.

    def below(self, end: int) -> int:
        """A number from 0 to ``end - 1``."""
        return int(self.rng.random() * end)

    def year(self) -> int:
        """A year, mostly one in living memory."""
        recent = self.rng.random() < 0.85
        return 1990 + self.below(23) if recent else 1850 + self.below(140)

    def slot_num(self) -> Phrase:
        """A count: mostly small, now and then one that looks like a year."""
        kind = self.rng.random()
        if kind < 0.7:
            return [Token(str(12 + self.below(88)), "CD")]
        if kind < 0.93:
            return [Token(str(10 * (10 + self.below(90))), "CD")]
        return [Token(str(1900 + self.below(110)), "CD")]

    def slot_num_large(self) -> Phrase:
        return [Token(f"{100 * (10 + self.below(490)):,}", "CD")]

    def slot_num_word(self) -> Phrase:
        return [Token(pick(self.rng, lists.NUMBER_WORDS), "CD")]

    def slot_ordinal(self) -> Phrase:
        return [Token(pick(self.rng, lists.ORDINALS), "JJ")]

    def slot_num_age(self) -> Phrase:
        return [Token(str(18 + self.below(70)), "CD")]

    def slot_digit(self) -> Phrase:
        return [Token(pick(self.rng, grammar.DIGITS), "CD")]

    def slot_bignum(self) -> Phrase:
        return [Token(f"{100_000 * (1 + self.below(600)):,}", "CD")]

    def decimal(self, end: int) -> str:
        """A number below ``end``, with one decimal or none."""
        whole = str(1 + self.below(end - 1))
        return whole if self.rng.random() < 0.5 else f"{whole}.{1 + self.below(9)}"

    def slot_percent(self) -> Phrase:
        sign = "%" if self.rng.random() < 0.1 else "percent"
        return [Token(self.decimal(30), "CD"), Token(sign, "NN")]

    def slot_money(self) -> Phrase:
        amount = Token(self.decimal(90), "CD")
        scale = Token(pick(self.rng, ("million", "million", "billion")), "CD")
        kind = self.rng.random()
        if kind < 0.15:
            return [amount, scale, Token("euros", "NNS")]
        return [Token("€" if kind < 0.25 else "$", "$"), amount, scale]

    def slot_euros(self) -> Phrase:
        return [Token("$", "$"), Token(f"1.{10 + self.below(50)}", "CD")]

    def slot_score(self) -> Phrase:
        return [Token(f"{1 + self.below(7)}-{self.below(5)}", "CD")]

    def slot_wind(self) -> Phrase:
        speed = Token(str(10 * (9 + self.below(16))), "CD")
        return [speed, Token("kilometers", "NNS"), Token("per", "IN"), Token("hour", "NN")]

    def slot_wind_far(self) -> Phrase:
        return [Token(str(10 * (9 + self.below(60))), "CD"), Token("kilometers", "NNS")]

    def slot_nbsp_measure(self) -> Phrase:
        return [Token(f"{2 + self.below(40)}\xa0{pick(self.rng, ('km', 'meter'))}", "CD")]

    def slot_year_number(self) -> Phrase:
        return [Token(str(self.year()), "CD")]

    def slot_late_year_number(self) -> Phrase:
        return [Token(str(2003 + self.below(12)), "CD")]

    def slot_year_span(self) -> Phrase:
        """Two years, the earlier one first; each is an entity."""
        words = pick(self.rng, (("between", "and"), ("from", "to")))
        years = sorted({self.year(), self.year(), 2013})
        phrase: Phrase = []
        for word, year in zip(words, years, strict=False):
            phrase += [*tokens(word), *entity("tim", [Token(str(year), "CD")])]
        return phrase

    def slot_month_day(self) -> Phrase:
        return [Token(str(1 + self.below(28)), "CD")]

    def slot_mid_month(self) -> Phrase:
        return [Token(f"mid-{pick(self.rng, lists.MONTHS)}", "NNP")]

    def slot_decade_number(self) -> Phrase:
        return [Token(f"{10 * (190 + self.below(11))}s", "NNS")]

    def slot_century_ordinal(self) -> Phrase:
        return [Token(f"{pick(self.rng, range(10, 20))}th", "JJ")]


def spans(sentence: Phrase) -> list[tuple[str, str]]:
    """The entities of a sentence, as label and text."""
    found: list[tuple[str, str]] = []
    for word, _, tag in sentence:
        if tag.startswith("B-"):
            found.append((tag[2:], word))
        elif tag.startswith("I-"):
            found[-1] = (tag[2:], f"{found[-1][1]} {word}")
    return found


def is_clumsy(sentence: Phrase) -> bool:
    """Whether a sentence repeats a name or a word, or has two times that do not go together."""
    names = spans(sentence)
    words = [token.word for token in sentence]
    triples = zip(words, words[1:], words[2:], strict=False)
    times = [i for i, token in enumerate(sentence) if token.tag == "B-tim"]
    return (
        len(set(names)) < len(names)
        or any(a == b or (a == c and b in {"and", "&", ","}) for a, b, c in triples)
        or sum(word in lists.WEEKDAYS for word in words) > 1
        or (len(times) > 1 and times[0] < 3)
    )


# --- the corpus -----------------------------------------------------------------------------


def write_split(writer: Writer, size: int, taken: set[str], copies: int) -> list[Phrase]:
    """Sentences that occur nowhere else, and copies of some of them strewn in."""
    sentences: list[Phrase] = []
    while len(sentences) < size - copies:
        sentence = writer.sentence()
        text = " ".join(token.word for token in sentence)
        if text not in taken:
            taken.add(text)
            sentences.append(sentence)
    for _ in range(copies):
        sentences.insert(writer.below(len(sentences)), pick(writer.rng, sentences))
    return sentences


def make_corpus(seed: int, size: int) -> dict[str, list[Phrase]]:
    """Make up the whole corpus.

    :param seed: what all chance depends on.
    :param size: number of sentences, all splits together.
    :return: split → its sentences.
    """
    rng = Random(seed)
    lexicon = Lexicon(rng)
    taken: set[str] = set()
    corpus = {}
    for split, share in SPLITS.items():
        in_train = split == "train"
        writer = Writer(rng, lexicon, in_train)
        count = round(size * share)
        copies = int(count * DUPLICATE_SHARE) if in_train else 0
        corpus[split] = write_split(writer, count, taken, copies)
    return corpus


def to_csv(sentences: Sequence[Phrase]) -> bytes:
    """The sentences in the format of ``ner_dataset.csv``."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    for number, sentence in enumerate(sentences, 1):
        for i, token in enumerate(sentence):
            rows.writerow(("" if i else f"Sentence: {number}", *token))
    return text.getvalue().encode(ENCODING)


def write_files(folder: Path, contents: dict[str, bytes]) -> None:
    """Write files so that there is never half of one under its name."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".corpus-", dir=folder) as scratch:
        for name, content in contents.items():
            (Path(scratch) / name).write_bytes(content)
        for name in contents:
            os.replace(Path(scratch) / name, folder / name)


app = typer.Typer(add_completion=False)


@app.command()
def main(
    output_dir: Annotated[Path, typer.Argument(help="Where train.csv, dev.csv and test.csv go.")],
    seed: Annotated[int, typer.Option(help="Another seed, another corpus.")] = DEFAULT_SEED,
    sentences: Annotated[int, typer.Option(help="How many, all three files together.")] = 6000,
) -> None:
    """Write the invented practice corpus: train.csv, dev.csv and test.csv."""
    if sentences < MIN_SENTENCES:
        typer.echo(f"--sentences {sentences}: expected at least {MIN_SENTENCES}", err=True)
        raise typer.Exit(1)
    corpus = make_corpus(seed, sentences)
    try:
        write_files(output_dir, {f"{split}.csv": to_csv(part) for split, part in corpus.items()})
    except OSError as error:
        typer.echo(
            f"{output_dir}: cannot be written ({error}); expected a folder with write permission",
            err=True,
        )
        raise typer.Exit(1) from error
    for split, part in corpus.items():
        typer.echo(f"{output_dir / split}.csv: {len(part):,} sentences")


if __name__ == "__main__":
    app()
