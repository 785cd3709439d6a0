/** The login form. Says the same for a wrong name and a wrong password. */

import { MAX_PASSWORD_CHARS } from '../password.ts';
import { ASSETS } from '../static/assets.ts';
import { type Html, html } from './html.ts';

export interface LoginView {
  next: string;
  /** What was wrong with the last try. */
  fault?: string;
  name?: string;
}

export function loginPage({ next, fault, name = '' }: LoginView): Html {
  return html`<section class="login"><h1><img src="${ASSETS['icon.svg'].path}" alt="" width="32" height="32">hobbler</h1>
${fault && html`<p class="banner bad" role="alert">${fault}</p>`}
<form method="post" action="/login"><input type="hidden" name="next" value="${next}">
<label for="name">Name</label><input id="name" name="name" value="${name}" required maxlength="64" autocomplete="username" autocapitalize="none" spellcheck="false"${name === '' && html` autofocus`}>
<label for="password">Password</label><input id="password" name="password" type="password" required maxlength="${MAX_PASSWORD_CHARS}" autocomplete="current-password"${name !== '' && html` autofocus`}>
<button class="primary">Log in</button></form></section>`;
}
