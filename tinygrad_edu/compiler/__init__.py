from tinygrad_edu.compiler.recording import Recording
