import type { EventBus, TaskEngine } from '#kernel';
import { codeLabel, type Metrics, secondsBuckets } from './metrics.js';

/** Tasks by name, and the threads that they run on. */
export function taskMetrics(metrics: Metrics, bus: EventBus, tasks: TaskEngine): void {
  metrics.gauge('waggle_tasks_running', 'Runs under way', () => tasks.stats.running);
  metrics.gauges('waggle_tasks_waiting', 'Runs that wait, delayed ones included', ['priority'], () =>
    Object.entries(tasks.stats.queued).map(([priority, count]) => [{ priority }, count] as const),
  );
  metrics.gauge('waggle_tasks_delayed', 'Runs that are not due yet', () => tasks.stats.delayed);
  metrics.gauge('waggle_workers', 'Threads for tasks', () => tasks.stats.workers.alive);
  metrics.gauge('waggle_workers_busy', 'Threads that run a task', () => tasks.stats.workers.busy);
  metrics.total(
    'waggle_worker_restarts_total',
    'Threads that were lost and replaced',
    () => tasks.stats.workers.lost,
  );

  const ended = metrics.counter('waggle_tasks_ended_total', 'Runs that have ended', 'task', 'outcome');
  const retries = metrics.counter('waggle_task_retries_total', 'Tries that failed and are repeated', 'task');
  const errors = metrics.counter(
    'waggle_task_errors_total',
    'Runs that failed, by error code',
    'task',
    'code',
  );
  // By code alone: whoever submits may name whatever he likes.
  const rejected = metrics.counter('waggle_tasks_rejected_total', 'Runs that were not accepted', 'code');
  const waited = metrics.seconds(
    'waggle_task_wait_seconds',
    'How long runs waited for their first turn',
    secondsBuckets,
    'task',
  );
  const ran = metrics.seconds(
    'waggle_task_run_seconds',
    'How long the last try took',
    secondsBuckets,
    'task',
  );

  const end = (task: string, outcome: string, runMs: number) => {
    ended.inc({ task, outcome });
    if (runMs > 0) ran.observe({ task }, runMs / 1000);
  };
  bus.on('task:started', ({ name: task, attempt, queuedMs }) => {
    if (attempt === 1) waited.observe({ task }, queuedMs / 1000);
  });
  bus.on('task:retrying', ({ name: task }) => retries.inc({ task }));
  bus.on('task:succeeded', ({ name, runMs }) => end(name, 'succeeded', runMs));
  bus.on('task:cancelled', ({ name, runMs }) => end(name, 'cancelled', runMs));
  bus.on('task:failed', ({ name: task, runMs, code }) => {
    end(task, 'failed', runMs);
    errors.inc({ task, code: codeLabel(code) });
  });
  bus.on('task:rejected', ({ code }) => rejected.inc({ code: codeLabel(code) }));
}
