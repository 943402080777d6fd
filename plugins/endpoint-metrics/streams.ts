import type { ChatStreams, EventBus, SharedStreamStats, Timings } from '#kernel';
import { codeLabel, type Metrics, secondsBuckets } from './metrics.js';

const tokenBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export function streamMetrics(metrics: Metrics, bus: EventBus, streams: ChatStreams): void {
  metrics.gauge('waggle_streams_running', 'Running replies', () => streams.stats.running);
  metrics.gauge('waggle_streams_waiting', 'Queued replies', () => streams.stats.waiting);
  metrics.gauge('waggle_streams_kept', 'Ended replies that can still be read', () => streams.stats.kept);
  metrics.gauge('waggle_stream_readers', 'Readers of replies', () => streams.stats.readers);
  metrics.total(
    'waggle_stream_tokens_total',
    'Content chunks of replies, thinking included',
    () => streams.stats.tokens,
  );

  if (streams.sharedStats) sharedStreamMetrics(metrics, streams);

  const ended = metrics.counter('waggle_streams_ended_total', 'Ended replies', 'outcome');
  for (const outcome of ['finished', 'failed', 'cancelled']) ended.inc({ outcome }, 0);
  const errors = metrics.counter('waggle_stream_errors_total', 'Failed replies, by error code', 'code');
  const cancels = metrics.counter('waggle_stream_cancels_total', 'Cancelled replies, by reason', 'reason');
  const used = metrics.counter('waggle_model_tokens_total', 'Tokens as counted by the models', 'type');
  for (const type of ['input', 'output']) used.inc({ type }, 0);

  const first = metrics.seconds(
    'waggle_stream_first_token_seconds',
    'Time from the request to the first token',
    secondsBuckets,
  );
  const between = metrics.seconds(
    'waggle_stream_token_interval_seconds',
    'Average time between tokens of a finished reply',
    tokenBuckets,
  );
  const whole = metrics.seconds(
    'waggle_stream_duration_seconds',
    'Time from the request to the end of the reply',
    secondsBuckets,
    'outcome',
  );
  const end = (outcome: string, { firstTokenMs, totalMs }: Timings) => {
    ended.inc({ outcome });
    whole.observe({ outcome }, totalMs / 1000);
    if (firstTokenMs !== undefined) first.observe(firstTokenMs / 1000);
  };
  bus.on('chat:finished', ({ timings, tokens, usage }) => {
    end('finished', timings);
    const { firstTokenMs, totalMs } = timings;
    if (firstTokenMs !== undefined && tokens > 1)
      between.observe((totalMs - firstTokenMs) / 1000 / (tokens - 1));
    // Third-party agents may report anything, and counters throw at invalid values.
    used.inc({ type: 'input' }, amount(usage?.inputTokens));
    used.inc({ type: 'output' }, amount(usage?.outputTokens));
  });
  bus.on('chat:failed', ({ timings, code }) => {
    end('failed', timings);
    errors.inc({ code: codeLabel(code) });
  });
  bus.on('chat:cancelled', ({ timings, reason }) => {
    end('cancelled', timings);
    cancels.inc({ reason });
  });
}

/** Metrics of replies that several servers share. */
function sharedStreamMetrics(metrics: Metrics, streams: ChatStreams): void {
  const of = () => streams.sharedStats as SharedStreamStats;
  metrics.gauge(
    'waggle_stream_remote_readers',
    'Readers here of replies that other servers run',
    () => of().remoteReaders,
  );
  metrics.gauge(
    'waggle_stream_unflushed_chars',
    'Characters of replies that other servers cannot read yet',
    () => of().unflushedChars,
  );
  metrics.total(
    'waggle_stream_gaps_total',
    'Parts of replies of other servers that had to be read from the engine',
    () => of().gaps,
  );
  metrics.totals(
    'waggle_stream_taken_over_total',
    'Replies that have changed their server',
    ['outcome'],
    () => Object.entries(of().takenOver).map(([outcome, count]) => [{ outcome }, count] as const),
  );
}

function amount(value: number | undefined): number {
  return value !== undefined && Number.isFinite(value) && value > 0 ? value : 0;
}
