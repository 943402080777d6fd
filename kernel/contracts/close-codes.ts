/** Close codes of WebSockets by name: those of RFC 6455 and its registry, and those of this server, from 4400. */
export const closeCode = {
  normal: 1000,
  goingAway: 1001,
  protocolError: 1002,
  unsupportedData: 1003,
  noStatus: 1005,
  abnormal: 1006,
  invalidData: 1007,
  policyViolation: 1008,
  tooLarge: 1009,
  extensionMissing: 1010,
  internalError: 1011,
  serviceRestart: 1012,
  tryAgainLater: 1013,
  badFrames: 4400,
  unauthorized: 4401,
  forbidden: 4403,
  timeout: 4408,
  takenOver: 4409,
  slowReader: 4429,
} as const;

/** The codes above. Clients may close with any other from 3000 to 4999, so counters put those under one label. */
export const closeCodes: ReadonlySet<number> = new Set(Object.values(closeCode));
