/** What every page gets: the user, their teams, the chosen team. Filled by the shell before a page is shown. */
export const context = { me: null, team: null };
