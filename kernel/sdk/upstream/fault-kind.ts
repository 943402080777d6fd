/** Kind of an error that a model server has reported. */
export type FaultKind =
  /** No capacity now. */
  | 'busy'
  /** The prompt exceeds the context window. */
  | 'context'
  /** The model does not exist. */
  | 'model'
  /** An invalid or unsupported request, which is the client's error. */
  | 'refused'
  /** The key is refused. */
  | 'access'
  /** The port expects TLS. */
  | 'secured'
  /** A fault of the server. */
  | 'fault';

interface Rule {
  readonly kind: FaultKind;
  /** Absent: any status. */
  readonly statuses?: readonly (number | undefined)[];
  /** Pattern for its codes or its text. */
  readonly says?: RegExp;
}

/** The wordings of real servers. The first matching row counts. */
const rules: readonly Rule[] = [
  { kind: 'secured', statuses: [400], says: /HTTP request (was sent )?to (an )?HTTPS (server|port)/i },
  { kind: 'access', statuses: [401, 403, 407] },
  { kind: 'busy', statuses: [429, 503, 529] },
  {
    kind: 'context',
    statuses: [undefined, 400, 413, 422, 500],
    says: new RegExp(
      [
        'exceed_context_size_error|context_length_exceeded|context_window_exceeded',
        'maximum context length|context( the)? overflow',
        'exceeds?( the| its)?( available| maximum| model.s)* (context|number of tokens)',
        'longer than (the|this|its)( model.s| maximum)* context',
        '(prompt|input) is too long|too many (input )?tokens: ',
        'input \\(\\d+ tokens\\) is too large to process',
        'must have less than \\d+ tokens',
      ].join('|'),
      'i',
    ),
  },
  { kind: 'model', statuses: [404], says: /\bmodels?\b|\bmodel_/i },
  {
    kind: 'model',
    statuses: [undefined, 400, 422, 500],
    says: /\bmodel_not_found\b|\bmodel\b.{0,160}?\b(not found|does not exist|not exist)\b|\b(invalid|unknown|no such) model\b(?!.? (output|response))|not a valid model/i,
  },
  { kind: 'refused', statuses: [400, 413, 422] },
  // Some servers report an unsupported or invalid request with a 500.
  {
    kind: 'refused',
    statuses: [500, 501],
    says: /does not support (tools|tool|function|images?|vision|thinking|chat|multimodal|embeddings?)|\b(image|audio|video|tools?|multimodal)( input| data)? (is|are) not supported|tools? param requires|^option "|^invalid format: /i,
  },
];

const lacking =
  /does not support (tools?|functions?|images?|vision|thinking|chat|multimodal|audio|video|embeddings?)\b|\b(image|audio|video|tools?|multimodal)(?: input| data)? (?:is|are) not supported|(tools?) param requires/i;

/** The capability that a model lacks, according to its server; another model may have it. */
export function lackIn(message: string): string | undefined {
  return lacking.exec(message)?.slice(1).find(Boolean);
}

/** Classifies an error. `status` is that of the response, or the one in the error itself. */
export function faultKind(status: number | undefined, code: string, message: string): FaultKind {
  const rule = rules.find(
    ({ statuses, says }) =>
      (!statuses || statuses.includes(status)) && (!says || says.test(message) || says.test(code)),
  );
  return rule?.kind ?? 'fault';
}
