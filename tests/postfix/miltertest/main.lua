-- Runs SCRIPT and prints what it complains of, which miltertest would keep for itself.

local fine, problem = pcall(dofile, SCRIPT)
if not fine then
    mt.echo(tostring(problem))
    error(problem)
end
