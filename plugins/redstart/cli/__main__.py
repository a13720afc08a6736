from redstart.cli.app import app

app(prog_name="redstart")
