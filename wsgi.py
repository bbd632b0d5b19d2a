from ner_lstm_component.app import create_app

app = create_app()
