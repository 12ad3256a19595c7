"""The HTTP service and the command of jdobb-async-queue."""
