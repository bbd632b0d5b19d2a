"""The network that maps ids or vectors to emissions and transitions, in Keras and Thinc."""
