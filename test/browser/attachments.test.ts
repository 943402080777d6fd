/// <reference lib="dom" />
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { done, text } from '../support/agents.js';
import { untilText } from '../support/browser.js';
import { faults } from './faults.js';
import { answered, choose, connected, Stage, send } from './stage.js';

const stage = new Stage();
const asked = () => stage.agent.requests.at(-1)?.messages.at(-1);
const file = (name: string, mimeType: string, content: string | Buffer) => ({
  ...{ name, mimeType },
  buffer: Buffer.from(content),
});

/** A picture of this size, made by the browser. */
async function picture(page: Page, width: number, height: number): Promise<Buffer> {
  const url = await page.evaluate(
    ([w, h]) => {
      const canvas = Object.assign(document.createElement('canvas'), { width: w, height: h });
      canvas.getContext('2d')?.fillRect(0, 0, 10, 10);
      return canvas.toDataURL('image/png');
    },
    [width, height],
  );
  return Buffer.from(url.slice(url.indexOf(',') + 1), 'base64');
}

/** The size of a picture, as the browser reads it. */
const sizeOf = (page: Page, url: string) =>
  page.evaluate(async (src) => {
    const image = Object.assign(new Image(), { src });
    await image.decode();
    return [image.naturalWidth, image.naturalHeight];
  }, url);

describe('files', () => {
  it('are attached by the button: pictures no larger than models use them, texts as text with their name', async () => {
    stage.script(text('I see.'), done);
    const page = await stage.chat();
    await page
      .locator('#files')
      .setInputFiles([
        file('photo.png', 'image/png', await picture(page, 4000, 2000)),
        file('data.csv', 'text/csv', 'a,b\n1,```\n'),
      ]);
    await page.locator('#attachments li').nth(1).waitFor();
    expect(await faults(page)).toEqual([]);
    await send(page, 'What is this?');
    await answered(page);
    expect(asked()?.content).toBe('What is this?\n\ndata.csv\n````csv\na,b\n1,```\n````');
    const [image = ''] = asked()?.images ?? [];
    expect(image).toMatch(/^data:image\/jpeg;base64,/);
    expect(await sizeOf(page, image)).toEqual([1568, 784]);
    await page.locator('.question .picture').waitFor();
    expect(await page.locator('#attachments').count()).toBe(0);
    // It is there on every device.
    await page.evaluate(() => {
      for (const name of Object.keys(localStorage)) if (name !== 'waggle:user') localStorage.removeItem(name);
    });
    await page.reload();
    await page.locator('.question .picture').waitFor();
    expect(await faults(page)).toEqual([]);
  });

  it('are pasted, dropped, and taken back', async () => {
    const page = await stage.chat();
    await page.locator('#message').evaluate((field) => {
      const data = new DataTransfer();
      data.items.add(new File(['{"a":1}'], 'pasted.json', { type: 'application/json' }));
      field.dispatchEvent(
        new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }),
      );
    });
    await untilText(page.locator('#attachments'), 'pasted.json');
    await page.locator('#log').evaluate((place) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(['let a;'], 'dropped.ts', { type: 'video/mp2t' }));
      place.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
    });
    await untilText(page.locator('#attachments'), 'dropped.ts');
    await page.getByRole('button', { name: 'Remove pasted.json' }).click();
    expect(await page.locator('#attachments li').count()).toBe(1);
    await page.locator('#send').click();
    await answered(page);
    expect(asked()?.content).toBe('dropped.ts\n```ts\nlet a;\n```');
  });

  it.each([
    ['a sound', file('song.mp3', 'audio/mpeg', 'x'), 'song.mp3 cannot be attached'],
    ['a PDF', file('paper.pdf', 'application/pdf', 'x'), 'Sound and PDF are not supported.'],
    ['a text that is none', file('odd.txt', 'text/plain', 'a\0b'), 'odd.txt cannot be attached'],
    ['a broken picture', file('broken.png', 'image/png', 'x'), 'broken.png cannot be attached'],
    ['a long text', file('long.log', 'text/plain', 'x'.repeat(200_001)), 'long.log is too long'],
  ])('that cannot be attached say why: %s', async (_, each, why) => {
    const page = await stage.chat();
    await page.locator('#files').setInputFiles([each]);
    await untilText(page.locator('#notice'), why);
    expect(await page.locator('#attachments').count()).toBe(0);
  });

  it('that the chosen model cannot see are not sent, and the page says so', async () => {
    const page = await stage.chat();
    await choose(page, 'ollama', 'gemma2:2b');
    await page.locator('#files').setInputFiles([file('photo.png', 'image/png', await picture(page, 10, 10))]);
    await untilText(page.locator('.lack'), 'gemma2:2b does not take pictures.');
    await page.locator('#message').fill('What is this?');
    expect(await page.locator('#send').isDisabled()).toBe(true);
    await page.locator('#message').press('Enter');
    expect(await page.locator('.question').count()).toBe(0);
    await choose(page, 'scripted');
    await page.locator('#message').press('Enter');
    await answered(page);
    expect(asked()?.images).toHaveLength(1);
  });
});

describe('the settings of a conversation', () => {
  it('are sent with each question, and remembered for it alone', async () => {
    const page = await stage.chat();
    await send(page, 'First');
    await answered(page);
    await page.locator('#settings').click();
    expect(await faults(page)).toEqual([]);
    await page.getByLabel('Temperature').fill('0.2');
    await page.getByLabel('Longest answer in tokens').fill('50');
    await page.keyboard.press('Enter');
    await page.reload();
    await connected(page);
    await send(page, 'Second');
    await page.locator('.answer').nth(1).locator('.note').waitFor();
    expect(stage.agent.requests.at(-1)?.options).toEqual({ temperature: 0.2, maxTokens: 50 });
    await page.locator('#new').click();
    await send(page, 'Third');
    await answered(page);
    expect(stage.agent.requests.at(-1)?.options).toBeUndefined();
  });
});
