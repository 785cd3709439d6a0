/**
 * A real Chromium for tests of the admin: who logs in, what pages complain of, whether they can be used by everybody (axe),
 * and pictures of them. Pictures go to test-results/screenshots (or HOBBLER_SHOTS), for people to look at.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import axe from 'axe-core';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { ROOT } from './sources.ts';

/** Undefined where there is none: tests then skip, and CI has one. */
export const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);
const FLAGS =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
export const DESKTOP = { width: 1280, height: 900 };
export const PHONE = { width: 390, height: 844 };
const SHOTS = process.env.HOBBLER_SHOTS ?? join(ROOT, 'test-results/screenshots');

export class TestBrowser {
  /** What pages complained of, and what they asked of other hosts, since `forget`. */
  complaints: string[] = [];
  readonly #browser: Browser;

  private constructor(browser: Browser) {
    this.#browser = browser;
  }

  static async start(): Promise<TestBrowser> {
    return new TestBrowser(await chromium.launch({ executablePath: CHROMIUM!, args: FLAGS.split(' ') }));
  }

  async stop(): Promise<void> {
    await this.#browser.close();
  }

  /** Closes every page, for afterEach. */
  async forget(): Promise<void> {
    for (const context of this.#browser.contexts()) await context.close();
    this.complaints = [];
  }

  /** A page of a person of his own. */
  async open(url: string, options: BrowserContextOptions = {}): Promise<Page> {
    const context = await this.#browser.newContext({ viewport: DESKTOP, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(15_000);
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('request', (request) => {
      const isOwn = request.url().startsWith(url) || request.url().startsWith('data:');
      if (!isOwn) this.complaints.push(`asked ${request.url()}`);
    });
    return page;
  }

  /** The same, logged in and on the fleet page. */
  async logIn(url: string, name: string, password: string, options: BrowserContextOptions = {}): Promise<Page> {
    const page = await this.open(url, options);
    await page.goto(url);
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Password').fill(password);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Fleet', exact: true }).waitFor();
    return page;
  }
}

export async function shoot(page: Page, name: string, fullPage = true): Promise<void> {
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage });
}

/** What axe finds wrong, serious or critical, each as one line; `within` narrows it to a part of the page. */
export async function seriousFaults(page: Page, within = 'html'): Promise<string[]> {
  // Not as a script of the page: its CSP allows none but ours.
  await page.evaluate(axe.source);
  const results = (await page.evaluate(`axe.run(${JSON.stringify(within)})`)) as axe.AxeResults;
  return results.violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, help, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${help}: ${html}: ${failureSummary}`),
    );
}
