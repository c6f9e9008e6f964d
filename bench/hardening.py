# SPDX-License-Identifier: MIT
"""What a hardened process costs the gateway: the route of the proxy's tables, once as the program
starts by itself and once with PORTCULLIS_HARDENING=off. README.md here says how."""
import load
import proxy

ROUNDS = 12             # the difference is smaller than the spread of one round
MOST = 0.03             # of the throughput


class Bare(proxy.Gateway):
    """The same program that gives up nothing: no seccomp filter, keys in its own process."""
    name = "not hardened"

    def command(self, workers):
        command, env = super().command(workers)
        return command, {**env, "PORTCULLIS_HARDENING": "off"}


def run(chosen, out, folder, spread, median):
    backend, _, hardened = proxy.make(chosen, folder)
    hardened.name = "hardened"
    bare = Bare(backend.folder, chosen.portcullis, backend, hardened.secret)
    backend.start(1, 1)
    for server in (bare, hardened):
        server.start(0, 1)
        server.sign_in()
        trouble = proxy.check(server)
        if trouble:
            raise SystemExit(f"{server.name}: {trouble}\n{server.output()}")
    runs = proxy.rounds(chosen, [bare, hardened],
                        lambda server, seconds: load.closed_loop(server, proxy.PATH, seconds, 1, 1,
                                                                 [backend]),
                        max(ROUNDS, chosen.rounds))
    out.say("### Hardened, and not: passing on, pinned\n")
    proxy.table(out, [bare, hardened], runs, [bare.name], spread, median)
    lost = 1 - median([a["rps"] / b["rps"]
                       for a, b in zip(runs[hardened.name], runs[bare.name])])
    out.aim("throughput that hardening takes", f"≤ {100 * MOST:.0f} %", f"{100 * lost:.1f} %",
            lost <= MOST)
    for server in (hardened, bare, backend):
        server.stop()
