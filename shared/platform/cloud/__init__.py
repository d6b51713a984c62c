"""Google's services behind small modules: documents, objects, queues, keys, secrets, identity."""
