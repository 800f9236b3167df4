/**
 * How much is measured: `full` is what docs/performance.md shows, `quick` shows that all of it works, `tiny` is for a test.
 * `warmUp` are requests before the first thing that is measured in a process, `warmUpNext` before each further kind.
 */
export const SETTINGS = {
  full: {
    processes: 3,
    warmUp: 25_000,
    warmUpNext: { post: 10_000, '64k': 4000, latency: 500 },
    rounds: 5,
    requests: { get: 1500, post: 1500, '64k': 500 },
    latency: { 1: 3000, 64: 6000 },
    streamMiB: 1024,
    warmUpMiB: 128,
    abandoned: 400,
    logins: 200,
    quietS: 10,
    pace: 500,
    idleConnections: [500, 1500],
    settleMs: 2000,
    routes: 1000,
    starts: 5,
    scrapes: 10
  },
  quick: {
    processes: 1,
    warmUp: 500,
    warmUpNext: { post: 200, '64k': 100, latency: 100 },
    rounds: 2,
    requests: { get: 200, post: 200, '64k': 100 },
    latency: { 1: 200, 64: 500 },
    streamMiB: 64,
    warmUpMiB: 16,
    abandoned: 40,
    logins: 20,
    quietS: 1,
    pace: 200,
    idleConnections: [50, 150],
    settleMs: 300,
    routes: 100,
    starts: 1,
    scrapes: 2
  },
  tiny: {
    processes: 1,
    warmUp: 20,
    warmUpNext: { post: 20, '64k': 10, latency: 10 },
    rounds: 1,
    requests: { get: 20, post: 20, '64k': 10 },
    latency: { 1: 20, 64: 70 },
    streamMiB: 1,
    warmUpMiB: 1,
    abandoned: 4,
    logins: 2,
    quietS: 0.2,
    pace: 100,
    idleConnections: [5, 10],
    settleMs: 50,
    routes: 10,
    starts: 1,
    scrapes: 1
  }
}

/** Connections that send requests while CPU time is counted. */
export const CONNECTIONS = 32
