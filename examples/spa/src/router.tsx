import { createBrowserRouter, redirect, type LoaderFunctionArgs } from "react-router";

import { currentUser, onSessionEnd } from "./api/session";
import { Busy } from "./components/Busy";
import { Layout } from "./components/Layout";
import { loginPath } from "./components/useLogin";
import { EditMealPage } from "./pages/EditMealPage";
import { ErrorPage, NotFoundPage } from "./pages/ErrorPage";
import { HomePage, PublicPage, TagPage } from "./pages/FeedPage";
import { LoginPage } from "./pages/LoginPage";
import { loadMeal, MealPage } from "./pages/MealPage";
import { NewMealPage } from "./pages/NewMealPage";
import { loadPerson, PersonPage } from "./pages/PersonPage";
import { RegisterPage } from "./pages/RegisterPage";

/** Throws a redirect to the login page if nobody is signed in; for pages that are nobody's without an account. */
function requireUser({ request }: LoaderFunctionArgs): null {
  const { pathname, search } = new URL(request.url);
  // eslint-style rule of React Router: a redirect is thrown.
  if (currentUser() === null) throw redirect(`${loginPath(pathname + search)}&why=required`);
  return null;
}

export const router = createBrowserRouter([
  {
    element: <Layout />,
    HydrateFallback: Busy,
    children: [
      {
        errorElement: <ErrorPage />,
        children: [
          { path: "/", element: <PublicPage /> },
          { path: "/tags/:tag", element: <TagPage /> },
          { path: "/people/:username", element: <PersonPage />, loader: loadPerson },
          { path: "/meals/:id", element: <MealPage />, loader: loadMeal },
          { path: "/login", element: <LoginPage /> },
          { path: "/register", element: <RegisterPage /> },
          { path: "/home", element: <HomePage />, loader: requireUser },
          { path: "/new", element: <NewMealPage />, loader: requireUser },
          {
            path: "/meals/:id/edit",
            element: <EditMealPage />,
            loader: (args) => requireUser(args) ?? loadMeal(args),
          },
          { path: "*", element: <NotFoundPage /> },
        ],
      },
    ],
  },
]);

// The site refused what needs an account: to the login page, and afterwards back to where one was or wanted to go.
onSessionEnd((reason) => {
  const { location, navigation } = router.state;
  const { pathname, search } = navigation.location ?? location;
  if (reason !== "logout" && pathname !== "/login") void router.navigate(`${loginPath(pathname + search)}&why=${reason}`);
});
