const list = (items: readonly string[]): string => items.join(', ') || 'none';

const lines = (items: readonly string[]): string => items.map((item) => `\n  ${item}`).join('');

/** Errors of plugins and operators, which no client sees: the message by code. */
export const operatorErrors = {
  KERNEL_STATE: (d: { action: string; state: string }) => `cannot ${d.action} while the kernel is ${d.state}`,
  KERNEL_START_ABORTED: (_: Record<never, never>) => 'the start was aborted by a stop',
  KERNEL_CONFIG_INVALID: (d: { issues: readonly string[] }) =>
    `the configuration has ${d.issues.length} mistake(s):${lines(d.issues)}`,
  KERNEL_PLUGIN_INVALID: (d: { plugin: string; why: string }) => `"${d.plugin}" is not a plugin: ${d.why}`,
  KERNEL_PLUGIN_DUPLICATE: (d: { plugin: string }) =>
    `two plugins have the id "${d.plugin}"; give one of them another key in the config`,
  KERNEL_PLUGIN_UNKNOWN: (d: { plugin: string; known: readonly string[] }) =>
    `no plugin has the id "${d.plugin}" (running: ${list(d.known)})`,
  KERNEL_PLUGIN_FAILED: (d: { plugin: string; phase: string; why: string }) =>
    `plugin "${d.plugin}" failed during ${d.phase}: ${d.why}`,
  KERNEL_PLUGIN_TIMEOUT: (d: {
    plugin: string;
    phase: string;
    timeoutMs: number;
    left?: readonly string[];
  }) =>
    `plugin "${d.plugin}": ${d.phase} timed out after ${d.timeoutMs} ms${d.left ? ` (left behind: ${list(d.left)})` : ''}`,
  KERNEL_STOP_FAILED: (d: { failures: readonly string[] }) =>
    `${d.failures.length} plugin(s) did not stop cleanly:${lines(d.failures)}`,
  KERNEL_DEPENDENCY_MISSING: (d: { missing: readonly string[] }) =>
    `unsatisfied requirements:${lines(d.missing)}`,
  KERNEL_DEPENDENCY_CYCLE: (d: { path: readonly string[] }) =>
    `plugins require each other: ${d.path.join(' -> ')}`,
  KERNEL_SERVICE_CONFLICT: (d: { service: string; owner: string; plugin: string }) =>
    `"${d.plugin}" cannot provide ${d.service}: "${d.owner}" already does; disable one of them`,
  KERNEL_SERVICE_MISSING: (d: { service: string }) => `no running plugin provides ${d.service}`,
  KERNEL_SERVICE_UNDECLARED: (d: { service: string; plugin: string }) =>
    `"${d.plugin}" provided ${d.service} without listing it in "provides"`,
  KERNEL_SERVICE_PROMISED: (d: { service: string; plugin: string }) =>
    `"${d.plugin}" lists ${d.service} in "provides", but setup() did not provide it`,
  KERNEL_REGISTRY_CONFLICT: (d: { kind: string; name: string; owner: string; plugin: string }) =>
    `"${d.plugin}" cannot register the ${d.kind} "${d.name}": "${d.owner}" already did`,
  KERNEL_TASK_INVALID: (d: { plugin: string; task: string; why: string }) =>
    `"${d.plugin}" cannot register the task "${d.task}": ${d.why}`,
  KERNEL_EVENT_LOOP: (d: { event: string; path: readonly string[] }) =>
    `"${d.event}" leads to itself and was stopped with all that it led to: ${d.path.join(' -> ')}`,
  KERNEL_SCOPE_CLOSED: (d: { plugin: string; label: string }) =>
    `plugin "${d.plugin}" has stopped and cannot do "${d.label}" any more`,
  ROUTE_INVALID: (d: { path: string; why: string }) => `cannot serve "${d.path}": ${d.why}`,
  ROUTE_CONFLICT: (d: { method: string; path: string }) => `${d.method} ${d.path} is served already`,
  STORE_UNUSABLE: (d: { path: string; why: string }) => `cannot keep conversations in "${d.path}": ${d.why}`,
  STORE_FAILED: (d: { path: string; why: string }) =>
    `cannot read or write conversations in "${d.path}": ${d.why}`,
  ENGINE_UNUSABLE: (d: { engine: string; why: string }) => `cannot use the engine at ${d.engine}: ${d.why}`,
  BACKUP_FAILED: (d: { path: string; file: string; why: string }) =>
    `cannot copy "${d.path}" to "${d.file}": ${d.why}`,
  ACCESS_REQUIRED: (d: { host: string }) =>
    `nothing decides who may call ${d.host}: load access-keys, access-jwt or access-proxy; or name access-open, for a server that anyone may use`,
  KEYS_UNUSABLE: (d: { path: string; why: string }) => `cannot use the keys in "${d.path}": ${d.why}`,
  TLS_UNUSABLE: (d: { certFile: string; keyFile: string; why: string }) =>
    `cannot use the certificate "${d.certFile}" with the key "${d.keyFile}": ${d.why}`,
  LISTEN_FAILED: (d: { host: string; port: number; why: string }) =>
    `cannot listen on ${d.host}:${d.port}: ${d.why} ${d.host}:${d.port}`,
} as const;

/** Errors that a client may see, with the HTTP status of each. Messages carry no stack, no file path and no secret. */
export const clientErrors = {
  INVALID_JSON: [400, (d: { why?: string }) => `invalid JSON${d.why ? `: ${d.why}` : ''}`],
  INVALID_FRAME: [400, (d: { issues: readonly string[] }) => `invalid frame: ${d.issues.join('; ')}`],
  INVALID_REQUEST: [400, (d: { issues: readonly string[] }) => `invalid request: ${d.issues.join('; ')}`],
  TOO_DEEP: [400, (d: { depthLimit: number }) => `the JSON is nested deeper than ${d.depthLimit} levels`],
  /** `key`: where the limit is set, such as `"bodyLimitBytes" of endpoint-chat`. */
  TOO_LARGE: [
    413,
    (d: { limitBytes: number; key?: string | undefined; unit?: 'characters' }) =>
      `more than ${d.limitBytes} ${d.unit ?? 'bytes'}${d.key ? `, the limit ${d.key}` : ''}`,
  ],
  UNKNOWN_TYPE: [
    400,
    (d: { type: string; known: readonly string[] }) =>
      `unknown frame type "${d.type}" (known: ${list(d.known)})`,
  ],
  HOST_NOT_ALLOWED: [
    421,
    (d: { host: string }) =>
      `this server is not called "${d.host}"; if it is, list that name in "allowedHosts" of the transport's config; a proxy in front has to pass "Host" on as it came`,
  ],
  UNAUTHORIZED: [401, (d: { why: string }) => `credentials needed: ${d.why}`],
  FORBIDDEN: [403, (d: { why: string }) => `refused: ${d.why}`],
  NOT_FOUND: [404, (d: { path: string }) => `no route for ${d.path}`],
  METHOD_NOT_ALLOWED: [
    405,
    (d: { method: string; allow: readonly string[] }) =>
      `${d.method} is not allowed here (allowed: ${list(d.allow)})`,
  ],
  UPGRADE_REQUIRED: [426, (d: { path: string }) => `${d.path} speaks WebSocket (version 13) only`],
  /** `codings`: what is read where the type is that of a compression. */
  UNSUPPORTED_MEDIA_TYPE: [
    415,
    (d: { type: string; codings?: string }) =>
      d.codings
        ? `cannot read the Content-Encoding "${d.type}"; send ${d.codings} or none`
        : `cannot read "${d.type}"; send application/json`,
  ],
  AGENT_UNKNOWN: [
    404,
    (d: { agent: string; known: readonly string[] }) =>
      `no agent is called "${d.agent}" (known: ${list(d.known)})`,
  ],
  /** `busy`, a status of HTTP, where it is well and has no room now: asked again after `retryAfterMs` it may answer. */
  AGENT_UNAVAILABLE: [
    503,
    (d: { agent: string; why: string; retryAfterMs?: number; busy?: number }) =>
      `agent "${d.agent}" is not available: ${d.why}`,
  ],
  AGENT_TIMEOUT: [
    504,
    (d: { agent: string; phase: string; timeoutMs: number }) =>
      `agent "${d.agent}" took longer than ${d.timeoutMs} ms (${d.phase})`,
  ],
  AGENT_PROTOCOL: [
    502,
    (d: { agent: string; why: string }) =>
      `agent "${d.agent}" answered in a form that cannot be read: ${d.why}`,
  ],
  AGENT_DISCONNECTED: [
    502,
    (d: { agent: string; why: string }) =>
      `agent "${d.agent}" ended before its answer was complete: ${d.why}`,
  ],
  /**
   * `model` where it failed because it has none of that name; `refused`, a status of HTTP, where it is well and does not
   * take this request, which is then the client's mistake; with `lacks` where another agent could take it.
   */
  AGENT_FAILED: [
    502,
    (d: {
      agent: string;
      why: string;
      model?: string | undefined;
      refused?: number | undefined;
      lacks?: string | undefined;
    }) => `agent "${d.agent}" failed: ${d.why}`,
  ],
  CONTEXT_TOO_LONG: [
    400,
    (d: { agent: string; why: string; tokens?: number | undefined; window?: number | undefined }) =>
      `this is more than the model of agent "${d.agent}" can read: ${d.why}`,
  ],
  NOT_IMPLEMENTED: [501, (d: { what: string }) => `this server cannot ${d.what}`],
  MESSAGE_UNKNOWN: [
    404,
    (d: { number: number; what: string }) =>
      `the conversation has no ${d.what} with the number ${d.number}; read its messages again`,
  ],
  CONVERSATION_UNKNOWN: [
    404,
    (d: { conversationId: string }) => `this user has no conversation "${d.conversationId}"`,
  ],
  /** `isPrevious` where a request wants to go on after it. */
  RESPONSE_UNKNOWN: [
    404,
    (d: { responseId: string; isPrevious?: boolean }) =>
      d.isPrevious
        ? `there is no response "${d.responseId}" to go on after; send the conversation again`
        : `this user has no response "${d.responseId}"`,
  ],
  STREAM_UNKNOWN: [404, (d: { streamId: string }) => `no stream "${d.streamId}" is running`],
  STREAM_GONE: [
    410,
    (d: { streamId: string }) => `stream "${d.streamId}" can not be read any more, or never existed`,
  ],
  TOOL_CALL_UNKNOWN: [
    404,
    (d: { id: string }) =>
      `nothing waits for an answer to the tool call "${d.id}": it is unknown, or was answered`,
  ],
  TOOL_TIMEOUT: [
    504,
    (d: { tool: string; timeoutMs: number }) =>
      `no result of the tool "${d.tool}" came from the client within ${d.timeoutMs} ms`,
  ],
  APPROVAL_DENIED: [403, (d: { tool: string; why: string }) => `"${d.tool}" was not run: ${d.why}`],
  TOOL_LIMIT: [
    409,
    (d: { tool: string; limit: number }) =>
      `"${d.tool}" was not run: one answer may call no more than ${d.limit} tools`,
  ],
  DELEGATION_LIMIT: [
    409,
    (d: { agent: string; limit: number; what: string }) =>
      `"${d.agent}" was not asked: one request may ask ${d.limit} ${d.what}`,
  ],
  BUSY: [
    409,
    (d: { limit: number; what: string }) => `no more than ${d.limit} ${d.what} at once; wait for one to end`,
  ],
  IDEMPOTENCY_MISMATCH: [
    409,
    (_: Record<never, never>) =>
      'this key already stands for another request; give each request a key of its own',
  ],
  RATE_LIMITED: [
    429,
    (d: { limit: number; what: string; retryAfterMs: number }) =>
      `the limit is ${d.limit} ${d.what}; try again later`,
  ],
  BODIES_FULL: [
    429,
    (d: { limitBytes: number; key: string; retryAfterMs: number }) =>
      `the bodies of requests under way take all of ${d.limitBytes} bytes, the limit ${d.key}; try again later`,
  ],
  BUDGET_EXCEEDED: [
    429,
    (d: { limit: number; wanted: number; left: number; retryAfterMs: number }) =>
      `this may take ${d.wanted} tokens, and ${d.left} of ${d.limit} a day are left; lower "maxTokens" or try again later`,
  ],
  QUEUE_FULL: [
    503,
    (d: { limit: number; what: string; retryAfterMs: number }) =>
      `the server already has ${d.limit} ${d.what}; try again later`,
  ],
  /** `why`: without addresses and names of users. */
  ENGINE_UNAVAILABLE: [
    503,
    (d: { why: string; retryAfterMs: number }) =>
      `the engine that the servers share is not available: ${d.why}; try again later`,
  ],
  SERVER_LOST: [
    502,
    (_: { retryAfterMs: number }) =>
      'the server that gave this answer is lost, and the rest of the answer with it; ask again',
  ],
  TASK_UNKNOWN: [404, (d: { task: string }) => `no task "${d.task}"`],
  TASK_FAILED: [500, (d: { task: string; why: string }) => `task "${d.task}" failed: ${d.why}`],
  TASK_TIMEOUT: [
    504,
    (d: { task: string; timeoutMs: number }) => `task "${d.task}" took longer than ${d.timeoutMs} ms`,
  ],
  TASK_CANCELLED: [409, (d: { task: string }) => `task "${d.task}" was cancelled`],
  TASK_CRASHED: [500, (d: { task: string; why: string }) => `task "${d.task}" crashed: ${d.why}`],
  TASK_OUT_OF_MEMORY: [500, (d: { task: string }) => `task "${d.task}" needs more memory than it may have`],
  SHUTTING_DOWN: [503, (_: { retryAfterMs?: number }) => 'the server is shutting down; connect again'],
  DEADLINE_EXCEEDED: [504, (d: { timeoutMs: number }) => `no answer within ${d.timeoutMs} ms`],
  INTERNAL: [500, (_: Record<never, never>) => 'internal error; the log of the server knows more'],
} as const;

/** The HTTP status of each error that a client may see. */
export const httpStatus = Object.fromEntries(
  Object.entries(clientErrors).map(([code, [status]]) => [code, status]),
) as Readonly<Record<keyof typeof clientErrors, number>>;
