"""A loaded model: what is known about it, and the sessions that run it.

=======================  ================================================================================
:mod:`.loading`          from a path to a classifier, stage by stage
:mod:`.classifier`       the classifier that a user holds
:mod:`.facts`            what is known about a model
:mod:`.sessions`         what runs it
:mod:`.trial`            trial runs: what the graph suggests is checked
:mod:`.trial_images`     the synthetic images of these runs
:mod:`.trial_scores`     what the model scores them, each run by itself
:mod:`.conclude_head`    what the output's numbers are, by the graph and the scores of trial runs
:mod:`.problem_type`     what a configuration says of the output's numbers
:mod:`.batch_trial`      how many images the model takes at once, by trial runs
:mod:`.chance`           whether equal runs give equal scores
:mod:`.guesses`          what has to be chosen or guessed, and the notes that say so
:mod:`.layer_shapes`     the layers that can be explained, ranked by their shapes
:mod:`.geometries`       where the layers' cells lie in the input, by the operators
:mod:`.probe`            the same by runs with changed patches
:mod:`.geometry_cache`   what such runs found, kept for the next time
:mod:`.kept_runs`        what trial runs gave, kept for the next time
:mod:`.run_key`          the name under which that is kept: everything it depends on
:mod:`.run_cache`        the user's cache folder
:mod:`.labels`           the names of the classes
:mod:`.label_sources`    where names may be stated: metadata, graph, files beside the model
:mod:`.name_lists`       names in lists and mappings
:mod:`.name_texts`       names in a text or a file: JSON, YAML, Python's notation, lines
:mod:`.python_literals`  lists and mappings in Python's notation
:mod:`.inspection`       what ``onnx-cam inspect`` shows
:mod:`.exporting`        the model with a layer as an extra output
:mod:`.reloading`        loads a model again: what a pickled classifier becomes
:mod:`.catalogue`        models known to work
:mod:`.keeping`          what is kept from call to call
=======================  ================================================================================
"""
