"""``ner-lstm annotate``: the entities of all records of a file, or of a folder of files.

The input is read in parts (`parts`), which are parsed to records (`records`). A part's records are
tagged (`annotator`) and written to a file of the part's own (`writers`). `job` does this for one
part, in whichever process. `run` has it done for all parts that are not written yet, by one of the
`engines`.
"""
