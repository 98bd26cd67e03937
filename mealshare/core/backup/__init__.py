"""A whole site in one file and back, and from one database to another.

`make` writes a backup of a living site, `restore` makes an empty site of one, `move` carries the rows of a site to another
database, and `media` its files to another storage.  Nothing here knows Pyramid, nor what a meal is.
"""
