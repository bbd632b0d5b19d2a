"""The trainable pipe ``ner_lstm``: what spaCy talks to.

Docs go through the model (`architectures.py`) to the CRF's factors, are decoded to IOB2
tags (`crf.py`), and the tags are written to ``doc.ents`` as arrays (`tags.py`).
"""

# No postponed annotations here: spaCy reads those of the factory and of initialize().

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from spacy.attrs import ENT_IOB, ENT_TYPE, ORTH
from spacy.errors import Errors
from spacy.language import Language
from spacy.pipeline.trainable_pipe import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Config, Model, Optimizer, set_dropout_rate

from . import crf
from .architectures import Annotated
from .crf import Potentials
from .segments import sentence_lengths, split
from .tags import ENT_BEGIN, ENT_IN, entity_arrays, tag_names, tag_of_bilou, tags_of_entities

DEFAULT_CONFIG = Config().from_str(
    """
    [model]
    @architectures = "ner_lstm_component.KerasLSTMTagger.v1"
    features = ["LOWER", "SHAPE", "PREFIX1", "PREFIX2", "PREFIX3", "PREFIX4",
                "SUFFIX1", "SUFFIX2", "SUFFIX3", "SUFFIX4"]
    rows = [10000, 1500, 250, 1500, 3000, 4000, 250, 1000, 2500, 4000]
    embed_width = 40
    width = 160
    hidden_width = 128
    depth = 1
    word_dropout = 0.15
    window = 128
    context = 24
    batch_tokens = 4096
    runtime = "auto"

    [scorer]
    @scorers = "spacy.ner_scorer.v1"
    """
)


@Language.factory(
    "ner_lstm",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type"],
    default_config=DEFAULT_CONFIG,
    default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
)
def make_ner_lstm(
    nlp: Language, name: str, model: Model, scorer: Callable | None
) -> "LSTMEntityRecognizer":
    """The factory ``ner_lstm``: see :class:`LSTMEntityRecognizer`."""
    return LSTMEntityRecognizer(nlp.vocab, model, name, scorer=scorer)


class Probabilities(NamedTuple):
    """What `LSTMEntityRecognizer.probabilities` says of a Doc.

    :param tags: of each tag at each token, in the order of the component's ``tags``; rows
        sum to 1. *Shape:* ``(n_tokens, n_tags)``
    :param entities: of each entity in ``doc.ents``, as it stands, with its type. NaN for a
        type that the component does not know, or an entity across sentences.
        *Shape:* ``(n_entities,)``
    """

    tags: NDArray[np.float32]
    entities: NDArray[np.float64]


class LSTMEntityRecognizer(TrainablePipe):
    """A named-entity recognizer with a BiLSTM-CRF, trained and used as spaCy's ``ner``.

    Entities that are on a Doc when the component runs stay, predictions fit around them,
    and no entity is predicted on tokens blocked by ``Doc.set_ents(blocked=…)``.

    :param vocab: the shared vocabulary.
    :param model: from Docs to :class:`.crf.Potentials`; see `architectures.py`.
    :param name: the component's name in the pipeline.
    :param scorer: the scoring method; spaCy's for entities by default.
    """

    def __init__(
        self,
        vocab: Vocab,
        model: Model,
        name: str = "ner_lstm",
        *,
        scorer: Callable | None = None,
    ) -> None:
        self.vocab = vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        self.cfg: dict[str, Any] = {"labels": []}

    # -- labels

    @property
    def labels(self) -> tuple[str, ...]:
        """The entity types, sorted."""
        return tuple(self.cfg["labels"])

    @property
    def label_data(self) -> list[str]:
        """What ``spacy init labels`` saves and ``initialize(labels=…)`` takes."""
        return list(self.labels)

    @property
    def tags(self) -> tuple[str, ...]:
        """The IOB2 tags, in the order of the emissions' columns."""
        return tag_names(self.labels)

    def add_label(self, label: str) -> int:
        """Add an entity type before the component is initialized.

        :return: 1 if it is new, else 0.
        :raises ValueError: if it is not a non-empty string without white space, or the
            component is initialized: the network's output has its size.
        """
        _check_label(label)
        if label in self.labels:
            return 0
        if self._is_initialized:
            raise ValueError(
                f"The label {label!r} cannot be added to {self.name!r}: it is initialized for "
                f"the labels {', '.join(self.labels)}. To learn further types, initialize it "
                "anew with examples of all of them (nlp.initialize), or with "
                "initialize(labels=…)."
            )
        self._set_labels([*self.labels, label])
        return 1

    def _set_labels(self, labels: Iterable[str]) -> None:
        self.cfg["labels"] = sorted(set(labels))
        for label in self.labels:
            self.vocab.strings.add(label)

    @property
    def _is_initialized(self) -> bool:
        return self.model.has_dim("nO") is True

    def _label_hashes(self) -> NDArray[np.uint64]:
        return np.array([self.vocab.strings.add(label) for label in self.labels], np.uint64)

    def _label_index(self) -> dict[str, int]:
        return {label: i for i, label in enumerate(self.labels)}

    # -- prediction

    def predict(self, docs: Iterable[Doc]) -> list[NDArray[np.int64]]:
        """The best IOB2 tags of each Doc, its existing entities taken as given.

        :return: columns of the emissions, see `tags.tag_names`. *Shape:* ``(n_tokens,)``
            a Doc
        """
        docs = list(docs)
        return self._decode(docs, self._potentials(docs))

    def probabilities(self, docs: Iterable[Doc]) -> list[Probabilities]:
        """How probable each tag of each token is, and each entity on the Docs.

        They are the CRF's marginals: sums over all IOB2 sequences of a sentence.
        """
        docs = list(docs)
        potentials = self._potentials(docs)
        lengths = sentence_lengths(docs)
        emissions = _concatenate(potentials.emissions)
        lattice = crf.forward_backward(emissions, potentials.transitions, lengths)
        spans, scored = self._spans(docs, lengths)
        marginals = np.full(len(scored), np.nan)
        marginals[scored] = crf.span_marginals(
            lattice, emissions, potentials.transitions, lengths, spans
        )
        tags = _split(crf.tag_marginals(lattice, lengths), docs)
        ends = np.cumsum([len(doc.ents) for doc in docs])[:-1]
        entities = np.split(marginals, ends) if docs else []
        return [Probabilities(*pair) for pair in zip(tags, entities, strict=True)]

    def _spans(
        self, docs: Sequence[Doc], lengths: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The Docs' entities that the CRF can score, and which of all they are."""
        index = self._label_index()
        ends = np.cumsum(lengths)
        offsets = np.cumsum([0, *(len(doc) for doc in docs[:-1])])
        spans, scored = [], []
        for doc, offset in zip(docs, offsets, strict=bool(docs)):
            for ent in doc.ents:
                start, end = offset + ent.start, offset + ent.end
                sentence_end = ends[np.searchsorted(ends, start, side="right")]
                scored.append(ent.label_ in index and end <= sentence_end)
                if scored[-1]:
                    spans.append((start, end, index[ent.label_]))
        return np.array(spans, np.int64).reshape(-1, 3), np.array(scored, bool)

    def _potentials(self, docs: Sequence[Doc]) -> Potentials:
        if not self._is_initialized:
            raise ValueError(Errors.E109.format(name=self.name))
        return self.model.predict(docs)

    def _decode(self, docs: Sequence[Doc], potentials: Potentials) -> list[NDArray[np.int64]]:
        emissions = _concatenate(potentials.emissions)
        if not len(emissions):
            return [np.zeros(0, np.int64) for _ in docs]
        taken = np.concatenate([_taken(doc) for doc in docs])
        if taken.any():
            emissions = emissions.copy()
            emissions[taken, 1:] = crf.FORBIDDEN
        tags = crf.viterbi(emissions, potentials.transitions, sentence_lengths(docs))
        return _split(tags, docs)

    def set_annotations(self, docs: Iterable[Doc], scores: Sequence[NDArray[np.int64]]) -> None:
        """Write predicted tags to ``doc.ents``.

        :param scores: what :meth:`predict` gave for the same Docs.
        """
        hashes = self._label_hashes()
        for doc, tags in zip(docs, scores, strict=True):
            if not len(doc):
                continue
            iob, types = entity_arrays(tags, hashes)
            taken = _taken(doc)
            if taken.any():
                own = doc.to_array([ENT_IOB, ENT_TYPE])
                iob[taken], types[taken] = own[taken].T
            doc.from_array([ENT_IOB, ENT_TYPE], np.stack([iob, types], axis=1))

    # -- training

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        """Build a new network for the labels given, or found in the examples.

        :param get_examples: gives the examples.
        :param nlp: the pipeline; not used.
        :param labels: entity types, as :attr:`label_data`; without them the examples are
            read through.
        :raises ValueError: if there are no labels (E143).
        """
        validate_get_examples(get_examples, "LSTMEntityRecognizer.initialize")
        if labels is None:
            labels = [ent.label_ for eg in get_examples() for ent in eg.reference.ents]
        for label in labels:
            _check_label(label)
        self._set_labels([*self.labels, *labels])
        if not self.labels:
            raise ValueError(Errors.E143.format(name=self.name))
        self.model.set_dim("nO", len(self.tags), force=True)
        sample = [eg.predicted for eg in islice(get_examples(), 10) if len(eg.predicted)]
        self.model.initialize(X=sample or [Doc(self.vocab, words=["."])])

    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optimizer | None = None,
        losses: dict[str, float] | None = None,
    ) -> dict[str, float]:
        """Learn from a batch of examples.

        Tokens whose annotation is missing are summed over in the likelihood; a Doc
        without any gives no gradient.

        :param examples: the batch.
        :param drop: dropout rate.
        :param sgd: the optimizer; None or False only gathers the gradient.
        :param losses: the mean negative log-likelihood of an annotated Doc is added here.
        :raises ValueError: for an entity type that the component was not initialized with.
        """
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        examples = list(examples)
        validate_examples(examples, "LSTMEntityRecognizer.update")
        targets = [self._targets(eg) for eg in examples]
        known = [k for k, target in enumerate(targets) if not target.all()]
        if known:
            set_dropout_rate(self.model, drop)
            loss, backprop = self.model.begin_update(
                Annotated([examples[k].predicted for k in known], [targets[k] for k in known])
            )
            backprop(1.0 / len(known))
            losses[self.name] += loss / len(known)
        if sgd not in (None, False):
            self.finish_update(sgd)
        return losses

    def get_loss(self, examples: Iterable[Example], scores: Potentials) -> tuple[float, Potentials]:
        """The loss of the model's output, and its gradient.

        It is the one that :meth:`update` reaches by a faster way, for those who chain the
        model: ``Y, backprop = model.begin_update(docs)``, then ``backprop`` of the gradient.

        :param scores: the model's output for the examples' ``predicted`` Docs.
        """
        examples = list(examples)
        validate_examples(examples, "LSTMEntityRecognizer.get_loss")
        targets = [self._targets(eg) for eg in examples]
        n_known = max(1, sum(not target.all() for target in targets))
        docs = [eg.predicted for eg in examples]
        loss, d_emissions, d_transitions = crf.negative_log_likelihood(
            _concatenate(scores.emissions),
            scores.transitions,
            sentence_lengths(docs),
            np.concatenate(targets),
        )
        factor = np.float32(1 / n_known)
        gradient = Potentials(_split(d_emissions * factor, docs), d_transitions * factor)
        return loss / n_known, gradient

    def _targets(self, example: Example) -> NDArray[np.bool_]:
        """Which tags the annotation allows.

        :return: *Shape:* ``(n_tokens, n_tags)``
        """
        try:
            columns = self._gold_columns(example)
        except KeyError as error:
            (label,) = error.args
            raise ValueError(
                f"An example has an entity of type {label!r}; {self.name!r} was initialized for "
                f"{', '.join(self.labels) or 'no labels'}. Initialize it with examples of all "
                "types or with initialize(labels=…), or take this type out of the examples."
            ) from None
        known = np.flatnonzero(columns >= 0)
        allowed = np.ones((len(columns), len(self.tags)), bool)
        allowed[known] = False
        allowed[known, columns[known]] = True
        return allowed

    def _gold_columns(self, example: Example) -> NDArray[np.int64]:
        """The annotated tags on the tokens of ``predicted``, -1 where there is none.

        :raises KeyError: with the name of a type that is not among :attr:`labels`.
        """
        predicted, reference = example.predicted, example.reference
        # spaCy's alignment costs more than the network's step. Most Docs need none.
        if np.array_equal(predicted.to_array(ORTH), reference.to_array(ORTH)):
            iob, types = reference.to_array([ENT_IOB, ENT_TYPE]).reshape(-1, 2).T
            try:
                return tags_of_entities(iob, types, self._label_hashes())
            except KeyError as error:
                raise KeyError(reference.vocab.strings[error.args[0]]) from None
        index = self._label_index()
        columns = [
            -1 if tag in (None, "-", "") else tag_of_bilou(tag, index)
            for tag in example.get_aligned_ner()
        ]
        return np.array(columns, np.int64)


def _check_label(label: str) -> None:
    if not isinstance(label, str) or not label or any(c.isspace() for c in label):
        raise ValueError(
            "An entity type must be a non-empty string without white space (it becomes part of "
            f"an IOB2 tag). Received: {label!r}"
        )


def _concatenate(arrays: Sequence[NDArray]) -> NDArray:
    return np.concatenate(arrays) if arrays else np.zeros((0, 1), np.float32)


def _split(array: NDArray, docs: Sequence[Doc]) -> list[NDArray]:
    return split(array, map(len, docs))


def _taken(doc: Doc) -> NDArray[np.bool_]:
    """Tokens in an entity that is already there, or blocked for entities."""
    if not doc.has_annotation("ENT_IOB"):
        return np.zeros(len(doc), bool)
    iob = doc.to_array(ENT_IOB)
    return (iob == ENT_IN) | (iob == ENT_BEGIN)
