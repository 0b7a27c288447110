"""Solves the linear programmes of the tables by another method than the planner's.

    go test ./coordinator/plan/sim -run TestProblems -args -problems /tmp/problems.json
    python3 coordinator/plan/sim/testdata/optima.py /tmp/problems.json > coordinator/plan/sim/testdata/optima.txt

It needs SciPy (1.11 or newer), whose solver is HiGHS (Huangfu and Hall, 2018).
"""

import json
import sys

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import lil_matrix


def solve(p):
    hosts, capacity = p["hosts"], p["capacity"]
    n, k = len(hosts), len(capacity)
    gain, most = np.empty(n * k), np.empty(n * k)
    rows = lil_matrix((n + k, n * k))
    for i, h in enumerate(hosts):
        for j in range(k):
            x = i * k + j
            gain[x], most[x] = h["value"] * h["there"][j], h["most"]
            rows[i, x], rows[n + j, x] = 1, h["there"][j]
    limits = np.array([h["left"] for h in hosts] + capacity)
    scale = limits.max()
    r = linprog(-gain, A_ub=rows.tocsr(), b_ub=limits / scale, bounds=np.column_stack([np.zeros(n * k), most / scale]), method="highs")
    assert r.status == 0, r.message
    return -r.fun * scale


print("# name, optimum, worth of all: made by optima.py")
for line in open(sys.argv[1]):
    p = json.loads(line)
    worth = sum(h["value"] * h["left"] * s for h in p["hosts"] for s in h["there"])
    print(p["name"], "%.10g" % solve(p), "%.10g" % worth)
