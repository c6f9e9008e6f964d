// SPDX-License-Identifier: MIT
// Light or dark, before anything is painted: what was chosen here before, else what the system
// prefers. The documentation pages keep the choice under the same name.
const key = 'portcullis-theme';
const system = matchMedia('(prefers-color-scheme: dark)');

function chosen() {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // storage may be forbidden; the system's choice then stands
  }
}

function show() {
  const theme = chosen() ?? (system.matches ? 'dark' : 'light');
  document.documentElement.dataset.theme = theme;
  dispatchEvent(new Event('themechange'));
}

addEventListener('themeswitch', () => {
  const theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
  try {
    localStorage.setItem(key, theme);
  } catch {
    // Then it holds for this page only.
  }
  document.documentElement.dataset.theme = theme;
  dispatchEvent(new Event('themechange'));
});
system.addEventListener('change', show);
show();
