"""Export models of any framework to ONNX, and turn any ONNX file into a probe.

Eight files are public:

* `torch`, `tensorflow` and `jax` export a model of their framework to an ONNX file that declares its layers and inputs;
* `anywhere` is copied into old environments, and exports PyTorch models there;
* `catalogue` exports a named architecture, with random, published or your own weights;
* `saved_models` opens and exports Keras files and SavedModels;
* `layers` lists the layers of an ONNX file;
* `probe` turns an ONNX file into a probe: video bytes in, pooled units out.

`architectures` has the rows of the catalogue. Folders with a leading underscore are private: `_graph` reads ONNX
graphs, `_assembly` builds and verifies models and probes, `_tensorflow` and `_flax` belong to their exporters, and
`_weights` opens checkpoints.
"""
