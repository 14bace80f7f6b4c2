"""Lints and renders a chart with helm-python-sdk: Helm's own engine, without a cluster and without a helm binary.

Usage: render.py CHART VALUES...    prints, as JSON, what lint says of the chart and, for each file of values, its manifests by
template or the error."""

import json
import sys

from helm_python import Chart, HelmError, lint, values_from_yaml


def main() -> None:
    """Renders every file as the release `signpost` in kube-system."""
    chart_path, *files = sys.argv[1:]
    rendered = {}
    with Chart.load(chart_path) as chart:
        for path in files:
            try:
                with open(path, encoding="utf-8") as file:
                    values = values_from_yaml(file.read())
                rendered[path] = {"manifests": chart.render(values, name="signpost", namespace="kube-system")}
            except HelmError as error:
                rendered[path] = {"error": str(error)}
    json.dump({"lint": lint(chart_path), "rendered": rendered}, sys.stdout)


main()
