"""The configurations that tools write beside a model or into its metadata, and the preprocessing that they describe.

Each format is a file of its own, and a line in :data:`.formats.FORMATS`.

===========================  ===================================================================================
:mod:`.choose`               from ``--preprocess`` to a preprocessing: metadata, files, the graph, or a guess
:mod:`.base`                 what a format is
:mod:`.formats`              the list of formats
:mod:`.own`                  onnx-cam's own
:mod:`.hugging_face`         ``preprocessor_config.json`` and ``processor_config.json`` of transformers
:mod:`.hugging_face_types`   what each type of image processor does by default
:mod:`.timm`                 timm's ``config.json``
:mod:`.ultralytics`          the metadata of Ultralytics' classifiers
:mod:`.custom_vision`        the image metadata of Windows ML and Custom Vision
:mod:`.lobe`                 Lobe's ``signature.json``
:mod:`.teachable_machine`    Teachable Machine's ``metadata.json``
:mod:`.paddle`               PaddleClas' and PaddleX' ``inference.yml``
:mod:`.mmdeploy`             MMDeploy's ``pipeline.json``, for MMPretrain
:mod:`.steps`                preprocessing given as steps
:mod:`.values`               values of any type, checked
:mod:`.reading`              JSON and YAML, parsed
:mod:`.yaml_subset`          the part of YAML that is read
:mod:`.files_beside`         the JSON files beside a model
:mod:`.other_files`          files that sound like a configuration, and are not read
===========================  ===================================================================================
"""
