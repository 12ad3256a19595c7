-- Full: what is done when Redis's memory is full. It then refuses a script each command that may add data,
-- until the script has changed something; that nothing was there to be removed does not matter. Jobs that run
-- can so be kept alive and finished, and those that wait can be claimed: the queue drains.

call('DEL', KEYS[2])
