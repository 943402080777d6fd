import { z } from '#zod';

const name = z.string().min(1).max(128);

/** Fields of every request for an answer, over any endpoint; endpoints add their own names for the rest. */
export const chatFields = {
  content: z.string().min(1),
  agent: name.optional(),
  model: z.string().min(1).max(256).optional(),
  options: z
    .object({
      temperature: z.number().optional(),
      topP: z.number().optional(),
      maxTokens: z.int().min(1).optional(),
      seed: z.int().optional(),
      stop: z.array(z.string()).max(16).optional(),
    })
    .optional(),
};

/** Ids that clients choose: requests, conversations, users. */
export const clientChosenId = name;

/** The headers that put a request for an answer into a trace of its client. */
export const traceHeaders = z.object({
  traceparent: z.string().describe('W3C Trace Context: the trace to continue').optional(),
  tracestate: z.string().describe('W3C Trace Context: data of tracing systems').optional(),
  baggage: z.string().describe('W3C Baggage: data that travels with the request').optional(),
});

/** The client's place in a trace, in the words of its headers. */
export type TraceContext = Readonly<z.infer<typeof traceHeaders>>;
