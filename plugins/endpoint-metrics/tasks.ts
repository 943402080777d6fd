import type { EventBus, TaskEngine } from '#kernel';
import { codeLabel, type Metrics, secondsBuckets } from './metrics.js';

export function taskMetrics(metrics: Metrics, bus: EventBus, tasks: TaskEngine): void {
  metrics.gauge('waggle_tasks_running', 'Running task runs', () => tasks.stats.running);
  metrics.gauges(
    'waggle_tasks_waiting',
    'Waiting task runs by priority, including delayed ones',
    ['priority'],
    () => Object.entries(tasks.stats.queued).map(([priority, count]) => [{ priority }, count] as const),
  );
  metrics.gauge('waggle_tasks_delayed', 'Delayed task runs', () => tasks.stats.delayed);
  metrics.gauge('waggle_workers', 'Worker threads', () => tasks.stats.workers.alive);
  metrics.gauge('waggle_workers_busy', 'Worker threads that run a task', () => tasks.stats.workers.busy);
  metrics.total(
    'waggle_worker_restarts_total',
    'Worker threads that were lost and replaced',
    () => tasks.stats.workers.lost,
  );
  if (tasks.stats.stalled !== undefined)
    metrics.total(
      'waggle_tasks_stalled_total',
      'Task runs that this server has put back into the line because their server was lost',
      () => tasks.stats.stalled ?? 0,
    );

  const ended = metrics.counter('waggle_tasks_ended_total', 'Ended task runs', 'task', 'outcome');
  const retries = metrics.counter('waggle_task_retries_total', 'Failed attempts that are retried', 'task');
  const errors = metrics.counter(
    'waggle_task_errors_total',
    'Failed task runs, by error code',
    'task',
    'code',
  );
  // Without the name, which clients choose freely.
  const rejected = metrics.counter('waggle_tasks_rejected_total', 'Rejected task runs', 'code');
  const waited = metrics.seconds(
    'waggle_task_wait_seconds',
    'Time that task runs waited for their first attempt',
    secondsBuckets,
    'task',
  );
  const ran = metrics.seconds(
    'waggle_task_run_seconds',
    'Duration of the last attempt',
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
