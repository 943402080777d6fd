import {
  type HttpRequest,
  type HttpResponse,
  type ReadonlyRegistry,
  type ScheduledTask,
  type TaskDefinition,
  type TaskEngine,
  type TaskRun,
  type TaskSchedules,
  WaggleError,
} from '#kernel';
import { actingUser, expectValid, jsonSchemaOf, tenths } from '#sdk';
import type { z } from '#zod';
import { type cancelAnswer, type runReport, submission, type taskList, waitQuery } from './docs.js';

type Tasks = ReadonlyRegistry<TaskDefinition>;

/** `GET /tasks` */
export function listTasks(
  engine: TaskEngine,
  tasks: Tasks,
  schedules: TaskSchedules | undefined,
  response: HttpResponse,
): void {
  const all = [...tasks].flatMap((definition) => {
    const { name, description, lane, exposed = false, message = false } = definition;
    const counts = engine.countsOf(name);
    if (!counts) return [];
    const input = definition.input && jsonSchemaOf(definition.input);
    const output = definition.output && jsonSchemaOf(definition.output);
    const schedule = schedules?.find(name);
    return {
      name,
      ...(description !== undefined && { description }),
      lane,
      exposed,
      message,
      ...(input && { input }),
      ...(output && { output }),
      ...(schedule && { schedule: shown(schedule) }),
      counts,
    };
  });
  response.json(200, { tasks: all, figures: engine.stats } satisfies z.infer<typeof taskList>);
}

function shown({ cron, timeZone, nextAt, lastAt, missed }: ScheduledTask) {
  return { cron, timeZone, nextAt, ...(lastAt !== undefined && { lastAt }), missed };
}

/** `POST /tasks/{task}`: 202 at once, or 200 with the result if the run ends within `?wait=`. @throws errors of the engine and of the run */
export async function submitTask(
  engine: TaskEngine,
  tasks: Tasks,
  maxWaitMs: number,
  request: HttpRequest,
  response: HttpResponse,
): Promise<void> {
  const name = request.params.task as string;
  const { wait } = await expectValid(waitQuery, { wait: request.query.get('wait') ?? undefined });
  if (!tasks.find(name)?.exposed) throw new WaggleError('TASK_UNKNOWN', { task: name.slice(0, 128) });
  const body = await expectValid(submission, await request.json());
  const { input, priority, timeout_ms: timeoutMs, delay_ms: delayMs, user_id, request_id } = body;
  const run = await engine.submit(name, input, {
    priority,
    timeoutMs,
    delayMs,
    owner: actingUser(request.principal, user_id),
    idempotencyKey: request_id,
  });
  await endOf(run, Math.min(Number(wait), maxWaitMs), request.signal);
  if (!run.ended) response.json(202, reportOf(run), { location: `${request.basePath}/tasks/${run.id}` });
  else if (run.error) throw run.error;
  else response.json(200, reportOf(run));
}

/** `GET /tasks/{task}` @throws TASK_UNKNOWN */
export async function lookAtRun(
  engine: TaskEngine,
  request: HttpRequest,
  response: HttpResponse,
): Promise<void> {
  response.json(200, reportOf(await find(engine, request)));
}

/** `DELETE /tasks/{task}` @throws TASK_UNKNOWN */
export async function cancelRun(
  engine: TaskEngine,
  request: HttpRequest,
  response: HttpResponse,
): Promise<void> {
  const run = await find(engine, request);
  const cancelled = !run.ended && (await run.cancel());
  response.json(200, { cancelled, state: run.state } satisfies z.infer<typeof cancelAnswer>);
}

async function find(engine: TaskEngine, { params, principal }: HttpRequest): Promise<TaskRun> {
  const id = params.task as string;
  const run = await engine.find(id, principal);
  if (!run) throw new WaggleError('TASK_UNKNOWN', { task: id.slice(0, 128) });
  return run;
}

function reportOf(run: TaskRun): z.infer<typeof runReport> {
  const { id: taskId, name: task, state, priority, attempts, progress, output, error } = run;
  return {
    taskId,
    task,
    state,
    priority,
    attempts,
    queuedMs: tenths(run.queuedMs),
    runMs: tenths(run.runMs),
    ...(progress !== undefined && { progress }),
    ...(output !== undefined && { output }),
    ...(error && { error: { code: error.code, message: error.message } }),
  };
}

/** Resolves when the run ends, the time is up, or the client disconnects. */
async function endOf(run: TaskRun, waitMs: number, signal: AbortSignal): Promise<void> {
  if (run.ended || waitMs === 0) return;
  let timer: NodeJS.Timeout | undefined;
  let give: () => void = () => {};
  const given = new Promise<void>((resolve) => {
    give = resolve;
    timer = setTimeout(resolve, waitMs);
  });
  signal.addEventListener('abort', give, { once: true });
  if (signal.aborted) give();
  await Promise.race([run.result.catch(() => {}), given]);
  clearTimeout(timer);
  signal.removeEventListener('abort', give);
}
