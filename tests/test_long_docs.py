"""Documents of any length."""


def test_a_long_doc_makes_many_small_batches(trained_nlp, monkeypatch):
    """Time is linear, and memory bounded: the network never reads more than a batch."""
    ner = trained_nlp.get_pipe("ner_lstm")
    shim = ner.model.layers[1].shims[0]
    shapes = []
    predict = shim.predict

    def record_shape(inputs):
        shapes.append(inputs.args[1].shape)
        return predict(inputs)

    monkeypatch.setattr(shim, "predict", record_shape)
    doc = trained_nlp.make_doc("Anna Berg lives in Oslo . " * 4000)
    ner(doc)
    windowing = ner.model.attrs["windowing"]
    assert max(time for _, time in shapes) <= windowing.window
    assert max(batch * time for batch, time in shapes) <= windowing.batch_tokens
    assert sum(batch * time for batch, time in shapes) < 1.5 * len(doc)
