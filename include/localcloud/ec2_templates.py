"""EC2's launch templates. Mended gaps of moto 5.2.5: SourceVersion is not merged; user data of a later version is
kept as text, which moto itself refuses to launch; lists end after 15 without a token; wrong error for unknown names.
"""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.exceptions import InvalidLaunchTemplateNameNotFoundWithNameError
from moto.ec2.models.launch_templates import LaunchTemplateBackend
from moto.ec2.responses.launch_templates import LaunchTemplates
from moto.ec2.utils import parse_user_data

PAGE = 200


class TemplatesBackend(LaunchTemplateBackend):
    def delete_launch_template(self, name: str, tid: str | None) -> Any:
        if name and name not in self.launch_template_name_to_ids:
            raise InvalidLaunchTemplateNameNotFoundWithNameError(name)
        return super().delete_launch_template(name, tid)


class TemplatesResponse(LaunchTemplates):
    def create_launch_template_version(self) -> ActionResult:
        backend = self.ec2_backend
        name, template_id = self._get_param("LaunchTemplateName"), self._get_param("LaunchTemplateId")
        template = backend.get_launch_template_by_name(name) if name else backend.get_launch_template(template_id)
        data = dict(self._get_param("LaunchTemplateData", {}))
        if "UserData" in data:
            data["UserData"] = parse_user_data(data["UserData"])
        source = self._get_param("SourceVersion")
        if source:
            data = {**template.get_version(source).data, **data}
        self.params["LaunchTemplateData"] = data
        return super().create_launch_template_version()

    def describe_launch_templates(self) -> ActionResult:
        start, size = int(self._get_param("NextToken", "0")), int(self._get_param("MaxResults", PAGE))
        self.params["MaxResults"] = 1_000_000
        answer = super().describe_launch_templates().result
        found = answer["LaunchTemplates"]
        more = str(start + size) if len(found) > start + size else None
        return ActionResult({"LaunchTemplates": found[start : start + size], "NextToken": more})
