/** What an error of a model server means for those who asked. */
export type FaultKind =
  /** It is up, but full. */
  | 'busy'
  /** The prompt is longer than its window. */
  | 'context'
  /** It has no such model. */
  | 'model'
  /** It does not take the request, which is the client's mistake. */
  | 'refused'
  /** It does not take our key. */
  | 'access'
  /** Its port wants TLS. */
  | 'secured'
  /** Its own fault. */
  | 'fault';

interface Rule {
  readonly kind: FaultKind;
  /** Any, where it has none. */
  readonly statuses?: readonly (number | undefined)[];
  /** Of its codes and its text. */
  readonly says?: RegExp;
}

/** What real servers say. The first row that fits counts. */
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
  // These say with a 500 that they cannot do what was asked, or that it was asked in the wrong way.
  {
    kind: 'refused',
    statuses: [500, 501],
    says: /does not support (tools|tool|function|images?|vision|thinking|chat|multimodal)|\b(image|audio|video|tools?|multimodal)( input| data)? (is|are) not supported|tools? param requires|^option "|^invalid format: /i,
  },
];

const lacking =
  /does not support (tools?|functions?|images?|vision|thinking|chat|multimodal|audio|video)\b|\b(image|audio|video|tools?|multimodal)(?: input| data)? (?:is|are) not supported|(tools?) param requires/i;

/** What a model server says that its model cannot do: another one may. */
export function lackIn(message: string): string | undefined {
  return lacking.exec(message)?.slice(1).find(Boolean);
}

/** `status` is that of the answer, or the one that the error itself names. */
export function faultKind(status: number | undefined, code: string, message: string): FaultKind {
  const rule = rules.find(
    ({ statuses, says }) =>
      (!statuses || statuses.includes(status)) && (!says || says.test(message) || says.test(code)),
  );
  return rule?.kind ?? 'fault';
}
