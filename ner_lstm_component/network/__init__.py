"""The network, from ids or vectors to emissions and transitions, in Keras and in Thinc."""
