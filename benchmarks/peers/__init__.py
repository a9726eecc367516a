"""The peers' programs: a small server and a sender each, run by an interpreter that has the peers and not messageflow.

They import nothing of this project but one another.
"""
