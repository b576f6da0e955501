"""`vemoclap batch`: many videos, on one machine or a cluster of Ray, into Parquet files.

listing.py   INPUT -> the table of clips
pipeline.py  Ray Data: blocks of clips -> worker processes -> blocks of rows
worker.py    one worker process: decodes its clips, asks the servers, makes rows
rows.py      the columns of a row
parts.py     the folder of Parquet files: what is done, and what is added
running.py   all of it, in order

Importing this package imports neither Ray nor pyarrow.
"""
