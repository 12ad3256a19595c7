"""What ``jdobb doctor`` looks at, one module for each thing."""
