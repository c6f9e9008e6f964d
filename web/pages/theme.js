// SPDX-License-Identifier: MIT
// Chooses light or dark before anything is painted: what the reader chose here before, else what
// the system prefers. The button changes it; ReDoc takes its colours at start, so it loads anew.
'use strict';

(() => {
  const key = 'portcullis-theme';
  const chosen = () => {
    try {
      return localStorage.getItem(key);
    } catch {
      return null; // storage may be forbidden; the system's choice then stands
    }
  };
  const system = matchMedia('(prefers-color-scheme: dark)');
  const dark = () => (chosen() ?? (system.matches ? 'dark' : 'light')) === 'dark';
  const show = () => document.documentElement.classList.toggle('dark-mode', dark());

  show();
  system.addEventListener('change', show);
  document.addEventListener('DOMContentLoaded', () => {
    document.getElementById('theme')?.addEventListener('click', () => {
      try {
        localStorage.setItem(key, dark() ? 'light' : 'dark');
      } catch {
        return;
      }
      if (document.body.classList.contains('read')) location.reload();
      show();
    });
  });
})();

// The API's description, read once from the page's own base; shows its title and what went wrong.
globalThis.readDescription = async () => {
  const note = document.querySelector('#reference .note');
  try {
    const answer = await fetch('openapi.json', { headers: { accept: 'application/json' } });
    if (!answer.ok) throw new Error(`openapi.json answered ${answer.status}`);
    const description = await answer.json();
    document.title = `${description.info.title} · reference`;
    document.getElementById('brand').textContent = description.info.title;
    return description;
  } catch (error) {
    note.textContent = `The API's description could not be read: ${error.message}`;
    note.classList.add('failed');
    throw error;
  }
};
