import type {
  AgentCall,
  AgentResponse,
  CallContext,
  ChatRequest,
  DelegatedRequest,
  StreamChunk,
} from '#kernel';
import { type AgentCallSource, LazyAgentCall } from '#sdk';
import type { ReplyRun } from './reply-run.js';
import type { Transcript } from './transcript.js';

/** The place of an agent within a reply. */
export interface Position {
  readonly run: ReplyRun;
  /** The agent. */
  readonly agent: string;
  /** Its request. */
  readonly request: ChatRequest;
  /** Its rounds of tools, for the conversation; absent where nothing is stored. */
  readonly transcript?: Transcript | undefined;
  /** The attempt that answers its request; before that, the one that asks. */
  readonly attempt?: number | undefined;
  /** Agents that wait for its answer. */
  readonly depth: number;
  /** Agents that pass its answer on. */
  readonly relays: number;
  /** Stop the agents that it has asked and that have not ended. */
  children?: Set<() => void>;
  /** Whether it passes on the answer of another agent, which tells its own usage. */
  hasRelayed?: boolean;
}

/** The ways of an agent to others. */
export interface Ways {
  ask(from: Position, call: CallContext, agent: string, request: DelegatedRequest): Promise<AgentResponse>;
  stream(
    from: Position,
    call: CallContext,
    agent: string,
    request: DelegatedRequest,
  ): AsyncIterable<readonly StreamChunk[]>;
  /** As `stream`, of an agent that answers in the place of the one that asks. */
  handOver(
    from: Position,
    call: CallContext,
    agent: string,
    request: DelegatedRequest,
  ): AsyncIterable<readonly StreamChunk[]>;
  useTools(
    from: Position,
    call: AgentCall,
    tools: readonly string[],
    request: ChatRequest,
    answer: AnswerOnce,
  ): AsyncIterable<StreamChunk | readonly StreamChunk[]>;
}

/** Asks a model for one turn. */
export type AnswerOnce = (request: ChatRequest) => AsyncIterable<StreamChunk | readonly StreamChunk[]>;

// By a symbol and not private, because agents derive objects from their call.
const place = Symbol('place');

interface Placed extends CallContext {
  readonly [place]: { readonly ways: Ways; readonly position: Position };
}

// Shared by all calls: a function of each would hold more memory than an answer has time for. As properties, a copy of a call has them.
function ask(this: Placed & AgentCall, agent: string, request: DelegatedRequest): Promise<AgentResponse> {
  return this[place].ways.ask(this[place].position, this, agent, request);
}
function stream(
  this: Placed & AgentCall,
  agent: string,
  request: DelegatedRequest,
): AsyncIterable<readonly StreamChunk[]> {
  return this[place].ways.stream(this[place].position, this, agent, request);
}
function useTools(
  this: Placed & AgentCall,
  tools: readonly string[],
  request: ChatRequest,
  answer: AnswerOnce,
): AsyncIterable<StreamChunk | readonly StreamChunk[]> {
  return this[place].ways.useTools(this[place].position, this, tools, request, answer);
}

/** The call of an agent that the queen asks. */
export class QueenCall extends LazyAgentCall implements AgentCall, Placed {
  readonly [place]: Placed[typeof place];
  readonly ask: AgentCall['ask'] = ask;
  readonly stream: AgentCall['stream'] = stream;
  readonly useTools: AgentCall['useTools'] = useTools;

  constructor(
    source: AgentCallSource,
    context: ConstructorParameters<typeof LazyAgentCall>[1],
    ways: Ways,
    position: Position,
  ) {
    super(source, context);
    this[place] = { ways, position };
  }

  /** The place of the agent whose call it is; undefined for a call of another origin. */
  static positionOf(call: CallContext): Position | undefined {
    return (call as Partial<QueenCall>)[place]?.position;
  }
}
