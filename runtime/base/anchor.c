typedef int anchor;
