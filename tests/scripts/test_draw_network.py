from __future__ import annotations

from pathlib import Path

from loading import load_script, runner
from spacy.util import load_config

ROOT = Path(__file__).parents[2]
draw_network = load_script("draw_network")
run = runner(draw_network)


def test_blocks_are_the_network_and_are_drawn(trained_nlp):
    network = trained_nlp.get_pipe("ner_lstm").model.layers[1].shims[0].keras_model
    blocks = draw_network.blocks_of(network)
    kinds = [block.kind for block in blocks]
    assert kinds[:3] == ["InputLayer", "Embedding", "Sum"]
    assert kinds[-2:] == ["Dense", "LinearChainCRF"]
    assert kinds.count("Bidirectional") == 1
    encoder_and_crf = network.encoder.count_params() + network.crf.count_params()
    assert sum(block.weights for block in blocks) == encoder_and_crf
    assert blocks[-2].shape == f"time × {len(trained_nlp.get_pipe('ner_lstm').tags)}"
    (ax,) = draw_network.draw(blocks, "title").axes
    assert {block.kind for block in blocks} <= {text.get_text() for text in ax.texts}


def test_writes_a_picture_if_the_config_has_the_component(small_model, tmp_path):
    config = load_config(ROOT / "configs" / "default.cfg")
    config["components"]["ner_lstm"]["model"] = small_model
    config.to_disk(tmp_path / "small.cfg")
    output = tmp_path / "new" / "model.png"
    run(tmp_path / "small.cfg", output, "--labels", "a,b")
    assert output.read_bytes().startswith(b"\x89PNG")
    result = run(ROOT / "configs" / "spacy_ner.cfg", tmp_path / "model.png", exit_code=1)
    assert "no component ner_lstm" in result.output
