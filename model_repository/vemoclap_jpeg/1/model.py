from server.slots.entry_serving import EntryModel

TritonPythonModel = EntryModel
