"""Reading and rewriting ONNX graphs; nothing here runs a model.

======================  =============================================================
:mod:`.read`            reads a file, checks it, and returns its protobuf
:mod:`.external_data`   finds weights in files beside the model
:mod:`.links`           what lies beside a model that may be a symbolic link
:mod:`.file_kinds`      which kind of file was given in place of an ONNX model
:mod:`.soundness`       checks a model before anything reads its graph
:mod:`.order`           sorts nodes, and finds cycles
:mod:`.inline`          inlines local functions
:mod:`.fold_branches`   replaces an If by the branch that it takes
:mod:`.inputs`          what the inputs take, and how one of them becomes the image's
:mod:`.built_in`        the normalisation that the graph applies to its input
:mod:`.channel_rules`   follows the image's channels through the operators
:mod:`.head`            which output holds the scores, and what the graph says of them
:mod:`.head_ending`     what makes an output's numbers: the operators before it
:mod:`.score_tensor`    the scores that labels, ranks or squeezed rows are made from
:mod:`.heads`           the head kinds: what scores are, and how to get probabilities
:mod:`.layer`           a layer that can be explained
:mod:`.find_layers`     the layers that can be explained, ranked
:mod:`.image_axes`      follows the image's rows and columns through the operators
:mod:`.layer_geometry`  which part of the input a layer's cells cover, and how they are turned
:mod:`.frame`           a rectangle within the input
:mod:`.tokens`          the tensors of a transformer that hold tokens
:mod:`.token_grid`      the grid on which tokens lie, and tokens as maps
:mod:`.linear_head`     the linear layer after global average pooling, if there is one
:mod:`.constants`       the values of constants
:mod:`.walk`            from a tensor to the nodes that read or compute it
:mod:`.walk_protobuf`   all graphs, nodes and tensors of a protobuf
:mod:`.free_batch`      makes a fixed batch size free
:mod:`.tap`             makes tensors extra outputs
:mod:`.new_nodes`       nodes that are put into a graph, and names for what they make
:mod:`.emission`        writes the nodes of the score graph
:mod:`.score_graph`     one graph that masks, runs the model, and scores
:mod:`.same_pads`       the padding that auto_pad asks for
:mod:`.backward`        the gradient at a layer as a graph
======================  =============================================================
"""
