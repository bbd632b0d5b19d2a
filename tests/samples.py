"""Annotated sentences and a small network's settings, for fixtures and for tests."""

from __future__ import annotations

from itertools import count
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from spacy.util import fix_random_seed
from spacy.vocab import Vocab
from typer import Typer
from typer.testing import CliRunner, Result

from ner_lstm_component.features.word_table import WordTable, in_cases
from ner_lstm_component.kernels import find_rows

# Three types, each with entities of one word and of several; two sentences have none.
SENTENCES = (
    "Anna/B-per Berg/I-per lives in Oslo/B-geo .",
    "The Nordic/B-org Bank/I-org moved to New/B-geo York/I-geo .",
    "Nobody said a word .",
    "Paul/B-per met Maria/B-per Costa/I-per in Paris/B-geo .",
    "Reuters/B-org reports from South/B-geo Africa/I-geo .",
    "It rained for two days .",
    "Mr./B-per Costa/I-per works for Reuters/B-org .",
    "Oslo/B-geo and Paris/B-geo are far apart .",
    "The World/B-org Food/I-org Fund/I-org thanked Anna/B-per .",
    "Who is Paul/B-per Berg/I-per ?",
    "Prices fell in York/B-geo again .",
    "Nordic/B-org Bank/I-org hired Maria/B-per in Oslo/B-geo .",
)

SMALL_MODEL: dict[str, Any] = {
    "@architectures": "ner_lstm_component.KerasLSTMTagger.v1",
    "features": ["LOWER", "SHAPE", "PREFIX3", "SUFFIX3"],
    "rows": [500, 100, 200, 200],
    "embed_width": 16,
    "width": 32,
    "hidden_width": 16,
    "depth": 1,
    "word_dropout": 0.05,
    "feature_dropout": 0.0,
    "ngrams": [[0], [-1, 0], [0, 1], [-1, 0, 1]],
    "pos_weight": 0.2,
    "window": 128,
    "context": 24,
    "batch_tokens": 4096,
}


def run_app(app: Typer, *arguments: object, exit_code: int = 0) -> Result:
    """Run a Typer app and check its exit code."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == exit_code, (result.output, result.exception)
    return result


def values_in(table: WordTable, words: list[str]) -> list[int]:
    """The words' values in a word table, or 0."""
    rows = find_rows(table.words, in_cases(words)).tolist()
    return [int(table.values[table.places[row]]) if row >= 0 else 0 for row in rows]


def make_doc(vocab: Vocab, sentence: str) -> Doc:
    """An annotated Doc.

    :param sentence: words with a space between, a word in an entity with ``/`` and its tag.
    """
    tokens = [token.partition("/") for token in sentence.split()]
    return Doc(vocab, words=[t[0] for t in tokens], ents=[t[2] or "O" for t in tokens])


def annotated_doc(vocab: Vocab) -> Doc:
    """A Doc with annotation of every kind, and unknown spaces."""
    doc = Doc(
        vocab,
        words=["Anna", "said", "al-Qaida", "left", ".", "They", "did", "n't", "."],
        tags=["NNP", "VBD", "NNP", "VBD", ".", "PRP", "VBD", "RB", "."],
        morphs=["Number=Sing", "", "Number=Sing", "", "", "", "", "", ""],
        lemmas=["Anna", "say", "al-Qaida", "leave", ".", "they", "do", "not", "."],
        heads=[1, 1, 3, 1, 1, 6, 6, 6, 6],
        deps=["nsubj", "ROOT", "nsubj", "ccomp", "punct", "nsubj", "ROOT", "neg", "punct"],
        ents=["O", "O", "B-org", "O", "", "O", "O", "O", "O"],
    )
    doc.set_ents([Span(doc, 0, 1, "per", kb_id="Q1", span_id="a")], default="unmodified")
    doc.cats = {"news": 1.0, "sport": 0.0}
    claim = Span(doc, 2, 4, "claim", span_id="c")
    doc.spans["claims"] = SpanGroup(doc, attrs={"by": "x"}, spans=[claim])
    doc.user_data["source"] = "wire"
    doc.user_data["._.", "negated", doc[7].idx, None] = True
    return doc


def annotation(doc: Doc) -> dict[str, Any]:
    """The annotation of a Doc that doesn't depend on its words and spaces."""
    names = ["TAG", "POS", "MORPH", "LEMMA", "HEAD", "DEP", "SENT_START"]
    names += ["ENT_IOB", "ENT_TYPE", "ENT_KB_ID", "ENT_ID"]
    return {
        "tokens": doc.to_array(names).tolist(),
        "annotated": [name for name in names if doc.has_annotation(name)],
        "spans": {
            key: (group.attrs, [(s.start, s.end, s.label_, s.kb_id_, s.id_) for s in group])
            for key, group in doc.spans.items()
        },
        "cats": doc.cats,
    }


TOK2VEC: dict[str, Any] = {
    "@architectures": "spacy.Tok2Vec.v2",
    "embed": {
        "@architectures": "spacy.MultiHashEmbed.v2",
        "width": 24,
        "attrs": ["NORM", "SHAPE"],
        "rows": [300, 100],
        "include_static_vectors": False,
    },
    "encode": {
        "@architectures": "spacy.MaxoutWindowEncoder.v2",
        "width": 24,
        "depth": 1,
        "window_size": 1,
        "maxout_pieces": 2,
    },
}

SMALL_TOK2VEC_MODEL: dict[str, Any] = {
    "@architectures": "ner_lstm_component.Tok2VecKerasLSTMTagger.v1",
    "tok2vec": TOK2VEC,
    "hidden_width": 16,
    "depth": 1,
    "window": 128,
    "context": 24,
    "batch_tokens": 4096,
}


def make_examples(vocab: Vocab) -> list[Example]:
    """New examples of `SENTENCES`: the annotated Doc, and one of its words alone."""
    references = [make_doc(vocab, sentence) for sentence in SENTENCES]
    return [Example(Doc(vocab, words=[t.text for t in ref]), ref) for ref in references]


def noisy_docs(examples: list[Example]) -> list[Doc]:
    """Repeat the annotated Docs five times, and drop every fifth entity."""
    docs = [eg.reference.copy() for _ in range(5) for eg in examples]
    number = count(1)
    for doc in docs:
        doc.set_ents([ent for ent in doc.ents if next(number) % 5])
    return docs


def overfit(nlp: Language, steps: int = 80) -> Language:
    """Initialize a pipeline on `SENTENCES` and have it learn them by heart."""
    fix_random_seed(0)
    examples = make_examples(nlp.vocab)
    optimizer = nlp.initialize(lambda: examples)
    optimizer.learn_rate = 0.01
    for _ in range(steps):
        nlp.update(examples, sgd=optimizer, drop=0.1)
    return nlp
