"""Programs that run by themselves: a small server of each peer, and a sender of each peer and of ours.

The peers' run under an interpreter that has the peers and not messageflow. They import nothing of this project but
one another.
"""
